import { chmod, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { runCli } from '../../support/cli.js'
import { type PrivatePostgres, startPrivatePostgres } from '../../support/postgres.js'
import { createCommands, type Running } from '../../support/running.js'
import { waitUntil } from '../../support/wait.js'

// When the database refuses it, the server logs one line, whatever the cause and however often it retries.

const commands = createCommands()
let postgres: PrivatePostgres

beforeAll(async () => {
  postgres = await startPrivatePostgres()
}, 120_000)
afterEach(() => commands.endAll())
afterAll(() => postgres.close())

/** The database's URL with parts of it replaced. */
function urlWith(
  parts: Partial<Pick<URL, 'username' | 'password' | 'pathname' | 'host' | 'search'>>,
): string {
  return Object.assign(new URL(postgres.url), parts).href
}

const serve = (...args: string[]) =>
  commands.serve('--reconnect-max', '20ms', '--log-level', 'debug', '--log-format', 'json', ...args)

interface Entry {
  readonly level: string
  readonly msg: string
}

const entries = ({ err }: Running): Entry[] =>
  err()
    .split('\n')
    .filter(line => line.startsWith('{') && line.endsWith('}'))
    .map(line => JSON.parse(line) as Entry)
const loud = (server: Running) =>
  entries(server)
    .filter(({ level }) => level === 'warn' || level === 'error')
    .map(({ msg }) => msg)

/** Waits for so many attempts that a message logged at each attempt would appear. */
const triedOften = (server: Running) =>
  waitUntil(
    () => entries(server).filter(({ level, msg }) => level === 'debug' && /cannot be/.test(msg)).length > 8,
    `attempts in ${server.err()}`,
  )

describe('the server logs once, with the cause and the remedy', () => {
  const cannot = (cause: string) => `The database cannot be reached: ${cause}. The server keeps trying.`
  it.each<[string, () => string, RegExp | string]>([
    [
      'a wrong password',
      () => urlWith({ password: 'hunter2' }),
      cannot(
        'password authentication failed for user "listenql". Correct the password of listenql; in a URL, the characters @ : / ? # % of a password are written as %40 %3A %2F %3F %23 %25',
      ),
    ],
    [
      'a missing password',
      () => urlWith({ password: '' }),
      cannot(
        'Postgres requires a password, and none is given. Put it into the connection string, or set PGPASSWORD',
      ),
    ],
    [
      'a database that does not exist',
      () => urlWith({ pathname: '/nowhere' }),
      cannot(
        'database "nowhere" does not exist. Correct its name in the connection string, or: create database "nowhere"',
      ),
    ],
    [
      'a port on which nothing listens',
      () => urlWith({ host: 'localhost:9' }),
      cannot(
        'nothing listens on localhost:9 (ECONNREFUSED). Is Postgres running there, and are host and port correct?',
      ).replace('?.', '?'),
    ],
    [
      'an unknown host',
      () => urlWith({ host: 'nowhere.invalid:5432' }),
      /^The database cannot be reached: the host nowhere\.invalid is unknown \((ENOTFOUND|EAI_AGAIN)\)\. Correct/,
    ],
    [
      'encryption that Postgres does not offer',
      () => urlWith({ search: '?sslmode=require' }),
      /^The database cannot be reached: 127\.0\.0\.1:\d+ does not accept encrypted connections\. Use sslmode=disable/,
    ],
  ])('%s', async (_what, url, line) => {
    const server = await serve('--database-url', url())
    await triedOften(server)
    expect(loud(server)).toEqual([typeof line === 'string' ? line : expect.stringMatching(line)])
    expect(server.err()).not.toContain('hunter2')
    expect(entries(server).find(({ msg }) => msg.startsWith('Listening on'))).toMatchObject({
      databaseReached: false,
    })
    expect((await fetch(`${server.url}/readyz`)).status).toBe(503)
  })

  it('a standby', async () => {
    const standby = await startPrivatePostgres()
    try {
      await standby.stop('fast')
      await writeFile(join(standby.directory, 'data', 'standby.signal'), '')
      await standby.start()
      const server = await serve('--database-url', standby.url)
      await triedOften(server)
      const polling = await serve('--database-url', standby.url, '--doorbell', 'poll', '--channels', '')
      await triedOften(polling)
      for (const each of [server, polling]) {
        expect(loud(each)).toEqual([
          'The database cannot be reached: this Postgres is a standby: LISTEN does not work there, and it accepts no writes. Connect to the primary. The server keeps trying.',
        ])
      }
    } finally {
      await standby.close()
    }
  }, 120_000)

  it('that the database is down, why it stays down, and that it is back', async () => {
    const server = await serve('--database-url', postgres.url)
    await postgres.stop('fast')
    await triedOften(server)
    await postgres.start()
    await waitUntil(
      () =>
        entries(server).some(({ level, msg }) => level === 'info' && /The database is connected/.test(msg)),
      'the database to be back',
    )
    const said = loud(server)
    expect(said.filter(msg => msg.startsWith('The database connection was lost'))).toHaveLength(1)
    // Shutting down, refused, starting up: each cause once, however many attempts fail for it.
    expect(said).toEqual([...new Set(said)])
    expect(said.slice(1).every(msg => msg.startsWith('The database cannot be reached'))).toBe(true)
  }, 120_000)
})

describe('--exit-on-error', () => {
  const start = (...args: string[]) => runCli(['--port', '0', '--exit-on-error', ...args])

  it('ends with code 1 and one message if the database cannot be reached', async () => {
    expect(await start('--database-url', urlWith({ password: 'hunter2' }))).toEqual({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(
        /^listenql: cannot connect as 'listenql' to 'listenql' @ '127\.0\.0\.1:\d+': password authentication failed for user "listenql"\ncorrect the password of listenql; .*\n$/,
      ),
    })
  })

  it('ends with code 1 if the role of --anonymous-role cannot be used', async () => {
    const { code, stderr } = await start('--database-url', postgres.url, '--anonymous-role', 'nobody_here')
    expect(code).toBe(1)
    expect(stderr).toMatch(
      /listenql: --anonymous-role: there is no role nobody_here\nas an administrator: create role "nobody_here" nologin; grant "nobody_here" to "listenql";\n$/,
    )
    expect(stderr.match(/nobody_here/g)).toHaveLength(3)
  })

  it('serves if nothing is wrong', async () => {
    const server = await serve('--exit-on-error', '--database-url', postgres.url)
    expect((await fetch(`${server.url}/readyz`)).status).toBe(200)
  })
})

it('the server logs that a configured role cannot be used, and when it can be used again', async () => {
  const roles = ['--anonymous-role', 'visitor', '--role-channels', 'member=people']
  const server = await serve('--database-url', postgres.url, ...roles)
  await waitUntil(() => loud(server).length >= 2, 'the complaints')
  expect(entries(server).filter(({ msg }) => /visitor|member/.test(msg))).toMatchObject([
    {
      level: 'warn',
      msg: 'Viewers cannot use a role of --role-channels or --role-publish: there is no role member. As an administrator: create role "member" nologin; grant "member" to "listenql";',
    },
    {
      level: 'error',
      msg: 'Viewers without a token are refused: there is no role visitor (--anonymous-role). As an administrator: create role "visitor" nologin; grant "visitor" to "listenql";',
    },
  ])
  const url = new URL(postgres.adminUrl)
  const remedy = 'create role visitor nologin; grant visitor to listenql'
  expect((await runCli(['sql', remedy, '--database-url', url.href])).code).toBe(0)
  await waitUntil(() => /can use role visitor/.test(server.err()), 'the all-clear')
  const listed = `${server.url}/graphql?query=${encodeURIComponent('{ channels }')}`
  expect((await fetch(listed)).status).toBe(200)
})

describe('--data-dir', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(inject('postgresRoot'), 'data-dir-'))
    await chmod(folder, 0o755)
    await writeFile(join(folder, 'file'), 'mine')
    await symlink('/nowhere/at/all', join(folder, 'link'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it.each([
    ['file', 'file is a file and not a directory'],
    ['file/within', 'file is a file and not a directory'],
    ['link', 'link is a symbolic link to a path that does not exist'],
  ])('%s: nothing is created', async (name, problem) => {
    for (const command of ['serve', 'status']) {
      const { code, stderr } = await runCli([command, '--data-dir', join(folder, name)])
      expect(code).toBe(2)
      expect(stderr).toContain(`the embedded Postgres cannot use this directory: ${folder}/${problem}`)
    }
    expect((await readdir(folder)).sort()).toEqual(['file', 'link'])
  })

  it('of another Postgres is not touched', async () => {
    const data = join(postgres.directory, 'data')
    const before = (await readdir(data)).sort()
    const { code, stderr } = await runCli(['serve', '--port', '0', '--data-dir', data])
    expect(code).toBe(2)
    expect(stderr).toContain('is the data directory of another Postgres')
    expect((await readdir(data)).sort()).toEqual(before)
  })
})
