import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { listeningUrl } from '../support/listening-url.js'
import { createLog, type TestLog } from '../support/log.js'
import { exchange, handshake, openWebSocket, post, send } from '../support/raw.js'
import { createServerLogin, type ServerLogin } from '../support/server-login.js'
import { sign, startIssuer } from '../support/tokens.js'
import { createRoles, type TestRoles } from '../support/viewer-roles.js'
import { waitUntil } from '../support/wait.js'

// Every setting that can hold a secret holds one. The server runs at its most verbose log level, is used, and is made to fail. Nothing
// that it prints or answers may contain a secret.

const CLI = join(import.meta.dirname, '../../dist/src/cli.js')
const JWT = 'SECRETJWT-of-more-than-thirty-two-bytes'
const JWKS = 'http://127.0.0.1:9/keys?code=SECRETJWKS'

let log: TestLog
let login: ServerLogin
let roles: TestRoles
let folder: string
let password: string
let databaseUrl: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'listenql-secrets-'))
  log = await createLog()
  roles = await createRoles(log)
  login = await createServerLogin(log)
  password = String(login.config.password)
  databaseUrl = `${urlOf(login.config)}?application_name=SECRETAPP`
  await log.query('create table people (id int primary key, name text)')
  await log.watch('people')
  await log.database.query(`grant ${roles.user} to ${login.name}`)
})
afterAll(async () => {
  await roles?.drop()
  await login?.close()
  await log?.close()
  rmSync(folder, { recursive: true })
})

function urlOf({ user, password: word, host, port, database }: ServerLogin['config']): string {
  return `postgres://${user}:${word}@${host}:${port}/${database}`
}

/** The tests search for the signature, which is the secret part of a token. */
const secretsIn = (text: string, tokens: readonly string[] = []) =>
  [password, JWT, 'SECRETJWKS', 'WRONGWORD', ...tokens.flatMap(token => token.split('.').slice(1))].filter(
    secret => text.includes(secret),
  )

interface Run {
  readonly args: readonly string[]
  readonly env?: Record<string, string>
}

/** Runs a command that ends by itself. */
async function run({ args, env = {} }: Run): Promise<{ text: string; code: number }> {
  const child = spawn(process.execPath, [CLI, ...args], {
    env,
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => (text += chunk))
  const timer = setTimeout(() => child.kill('SIGKILL'), 20_000)
  const [code] = (await once(child, 'close')) as [number]
  clearTimeout(timer)
  return { text, code }
}

describe.each(['debug', 'trace'])('at log level %s', level => {
  it('a server in trouble prints and answers no secret', async () => {
    const env = { DATABASE_URL: databaseUrl, LISTENQL_JWT_SECRET: JWT, LISTENQL_JWKS_URL: JWKS }
    const args = ['--port', '0', '--log-level', level, '--channels', 'people', '--token-cookie', 'session']
    const child = spawn(process.execPath, [CLI, ...args], {
      env,
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let text = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => (text += chunk))
    try {
      const url = await waitUntil(() => listeningUrl(text), 'the server to start')
      const good = await sign({ role: roles.user, sub: 'SUBJECT' }, { secret: JWT })
      const wrong = await sign({ role: roles.user, sub: 'SUBJECT' }, { secret: `${JWT}x` })
      const issuer = await startIssuer()
      const unknown = await issuer.sign({ role: roles.user, sub: 'SUBJECT' })
      await issuer.close()
      const tokens = [good, wrong, unknown]
      for (const token of tokens) {
        const headers = { authorization: `Bearer ${token}` }
        const cookie = { cookie: `session=${token}`, 'sec-fetch-site': 'same-origin' }
        for (const query of [
          '{ people { cursor } }',
          '{ nothing }',
          '{',
          'mutation { notify(channel: "x", payload: "") }',
        ]) {
          text += (await post(url, { query }, headers)).body
          text += (await post(url, { query }, cookie)).body
          text += (
            await send(url, { path: `/graphql?access_token=${token}&query=${encodeURIComponent(query)}` })
          ).body
        }
        for (const path of ['/nowhere', '/listen/people', '/listen/%', '/graphql'])
          text += await exchange(
            url,
            handshake(url, `${path}?access_token=${token}`, { connection: 'close' }),
          )
        const socket = await openWebSocket(url, '/graphql', 'graphql-transport-ws')
        socket.send({ type: 'connection_init', payload: { Authorization: `Bearer ${token}` } })
        socket.send({
          id: '1',
          type: 'subscribe',
          payload: { query: 'subscription { peopleChanged { cursor } }' },
        })
        text += await socket.messages.next('an answer', 3000).catch(() => JSON.stringify(socket.closed))
        socket.webSocket.terminate()
      }
      // The database goes down, and then refuses the server.
      await log.database.query(`alter role ${login.name} password 'WRONGWORD'`)
      await log.database.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where usename = '${login.name}'`,
      )
      await waitUntil(() => /cannot be reached/.test(text), 'trouble')
      text += (await post(url, { query: '{ people { cursor } }' }, { authorization: `Bearer ${good}` })).body
      text += (await send(url, { path: '/readyz' })).body
      text += execFileSync('ps', ['-o', 'args=', '-p', String(child.pid)], { encoding: 'utf8' })
      text += readFileSync(`/proc/${child.pid}/comm`, 'utf8')
      await log.database.query(`alter role ${login.name} password '${password}'`)
      expect(text.length).toBeGreaterThan(1000)
      expect(secretsIn(text, tokens)).toEqual([])
      expect(text).not.toMatch(/access_token=e|Bearer e|session=e/)
    } finally {
      child.kill('SIGTERM')
      if (child.exitCode === null) await once(child, 'close')
    }
    expect(secretsIn(text)).toEqual([])
  }, 60_000)
})

describe('a server that does not start prints no secret', () => {
  const wrongUrl = () => databaseUrl.replace(password, 'WRONGWORD')
  it.each<[string, () => Run]>([
    [
      'an invalid port',
      () => ({ args: ['--port', 'x', '--database-url', databaseUrl, '--jwt-secret', JWT] }),
    ],
    ['an invalid database URL', () => ({ args: ['--database-url', `postgres:/${password}@`] })],
    [
      'a database URL with a stray sign',
      () => ({ args: ['status', '--database-url', databaseUrl.replace('@', '@@[')] }),
    ],
    [
      'a short secret',
      () => ({ args: ['--jwt-secret', 'WRONGWORD', '--port', '0', '--database-url', databaseUrl] }),
    ],
    [
      'an invalid key',
      () => ({
        args: ['--jwt-public-key', `-----BEGIN ${JWT}`, '--port', '0'],
        env: { DATABASE_URL: databaseUrl },
      }),
    ],
    [
      'two keys',
      () => ({ args: ['--jwks-url', JWKS, '--jwt-public-key', JWT, '--database-url', databaseUrl] }),
    ],
    ['a JWKS URL with a login', () => ({ args: ['--jwks-url', `https://u:${password}@example.com/`] })],
    ['an unknown flag', () => ({ args: [`--jwt-secrt=${JWT}`, '--database-url', databaseUrl] })],
    [
      'an unknown key in the file',
      () => {
        writeFileSync(
          join(folder, 'wrong.toml'),
          `DatabaseUrl = "${databaseUrl}"\nJwtSecret = ["${JWT}"]\nPort = "x"\n`,
        )
        return { args: ['--config', 'wrong.toml'] }
      },
    ],
    [
      'a file that is not TOML',
      () => {
        writeFileSync(join(folder, 'broken.toml'), `JwtSecret = "${JWT}\nDatabaseUrl = ${databaseUrl}\n`)
        return { args: ['--config', 'broken.toml'] }
      },
    ],
    ['a wrong password', () => ({ args: ['status', '--database-url', wrongUrl(), '--debug'] })],
    [
      'no such host',
      () => ({ args: ['status', '--database-url', databaseUrl.replace(/@[^/]+/, '@nowhere.invalid')] }),
    ],
  ])('because of %s', async (_what, how) => {
    const { text, code } = await run(how())
    expect(code).not.toBe(0)
    expect(text).not.toBe('')
    expect(secretsIn(text)).toEqual([])
  })

  it.each<[string, readonly string[]]>([
    ['config', ['config']],
    ['config --example', ['config', '--example']],
    ['--help', ['--help']],
    ['serve --help', ['serve', '--help']],
    ['version', ['--version']],
  ])('and neither does listenql %s', async (_what, args) => {
    const env = {
      DATABASE_URL: databaseUrl,
      LISTENQL_JWT_SECRET: JWT,
      LISTENQL_JWKS_URL: JWKS,
      PGPASSWORD: 'WRONGWORD',
    }
    const { text, code } = await run({ args, env })
    expect(code).toBe(0)
    expect(secretsIn(text)).toEqual([])
  })
})
