import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { freePort } from '../../../src/embedded/free-port.js'
import { identifyProcess, isAlive, type ProcessIdentity } from '../../../src/embedded/process-identity.js'
import { overSse } from '../../support/clients.js'
import { createTestDatabase, postmasterPid, type TestDatabase } from '../../support/postgres.js'
import { CLI, cleanEnvironment, createCommands } from '../../support/running.js'
import { waitUntil } from '../../support/wait.js'

const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const
const NOWHERE = 'http://127.0.0.1:9'

const commands = createCommands()
let directory: string
let database: TestDatabase

beforeAll(async () => {
  directory = await mkdtemp(join(inject('postgresRoot'), 'signals-'))
  await chmod(directory, 0o755) // as root, Postgres runs as another user, which needs access
  database = await createTestDatabase()
})
afterEach(() => commands.endAll())
afterAll(async () => {
  await database.close()
  await rm(directory, { recursive: true, force: true, maxRetries: 5 })
})

/** The Postgres that runs in the directory. */
async function postgres(): Promise<ProcessIdentity> {
  const pid = await postmasterPid(join(directory, 'data'))
  const identity = pid === undefined ? undefined : await identifyProcess(pid)
  if (!identity) throw new Error('no Postgres runs')
  return identity
}

const gone = (identity: ProcessIdentity) =>
  waitUntil(async () => !(await isAlive(identity)), `process ${identity.pid} to end`)

/** A client that begins a request and never ends it: the server waits for it when it stops. */
async function openHalfRequest(url: string): Promise<() => void> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => undefined)
  await new Promise(resolve => socket.once('connect', resolve))
  socket.write(
    `POST /graphql HTTP/1.1\r\nhost: localhost:${port}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{`,
  )
  return () => socket.destroy()
}

describe('a server with an embedded Postgres', () => {
  const serve = (...args: string[]) => commands.serve('--data-dir', directory, ...args)

  // Without a terminal, SIGHUP reloads: see reload.test.ts.
  it.each(STOP_SIGNALS.filter(name => name !== 'SIGHUP'))(
    'stops on %s, and Postgres with it',
    async signal => {
      const server = await serve()
      const database = await postgres()
      server.child.kill(signal)
      expect(await server.end).toBe(0)
      expect(server.err()).toContain(`${signal}: ending streams and stopping.`)
      expect(server.err()).toContain('Stopped.')
      expect(await isAlive(database)).toBe(false)
    },
  )

  it('counts two signals at once as one, because npm repeats the Ctrl-C of the terminal', async () => {
    const server = await serve()
    const database = await postgres()
    server.child.kill('SIGINT')
    server.child.kill('SIGTERM')
    expect(await server.end).toBe(0)
    expect(server.err()).toContain('Stopped.')
    expect(await isAlive(database)).toBe(false)
  })

  it('ends at once on a later signal, and stops Postgres', async () => {
    const server = await serve('--shutdown-timeout', '10m')
    const database = await postgres()
    const leave = await openHalfRequest(server.url)
    server.child.kill('SIGTERM')
    await waitUntil(() => server.err().includes('SIGTERM: ending'), 'the server to be stopping')
    const impatience = setInterval(() => server.child.kill('SIGINT'), 50)
    expect(await server.end).toBe(130)
    clearInterval(impatience)
    leave()
    expect(server.err()).not.toContain('Stopped.')
    await gone(database)
  })

  it('gives up when it cannot stop in time, and Postgres stops as soon as it can', async () => {
    const server = await serve('--shutdown-timeout', '1s')
    const database = await postgres()
    process.kill(database.pid, 'SIGSTOP')
    try {
      server.child.kill('SIGTERM')
      expect(await server.end).toBe(1)
      expect(server.err()).toContain('listenql: not stopped after 1000 ms, giving up')
    } finally {
      process.kill(database.pid, 'SIGCONT')
    }
    await gone(database)
  })

  it('stops when its terminal is closed', async () => {
    const terminal = commands.spawn('script', [
      '--quiet',
      '--return',
      '--command',
      `exec ${process.execPath} ${CLI} serve --port 0 --data-dir ${directory}`,
      '/dev/null',
    ])
    await waitUntil(() => terminal.out().includes('Ctrl-C stops it'), 'the banner', 60_000)
    const database = await postgres()
    terminal.child.kill('SIGKILL') // this closes the other side of the terminal, and the kernel sends SIGHUP
    await gone(database)
  })

  it('stops when npm, which started it in a shell, is told to stop', async () => {
    const project = await mkdtemp(join(directory, 'npm-'))
    const start = `${process.execPath} ${CLI} serve --port 0 --data-dir ${directory}`
    await writeFile(join(project, 'package.json'), JSON.stringify({ name: 'x', scripts: { start } }))
    const npm = commands.spawn('npm', ['start'], { cwd: project })
    await waitUntil(() => npm.err().includes('Listening on'), 'the server to listen', 60_000)
    const database = await postgres()
    npm.child.kill('SIGTERM')
    await gone(database)
    await npm.end // its output is closed, so the server has ended too
    expect(npm.err()).toContain('Stopped.')
  })

  it('stops while it creates its Postgres, and leaves nothing running', async () => {
    const fresh = await mkdtemp(join(directory, 'fresh-'))
    await chmod(fresh, 0o755)
    const server = commands.run('serve', '--port', '0', '--data-dir', fresh)
    await waitUntil(() => server.err().includes('creating a Postgres'), 'initdb')
    server.child.kill('SIGINT')
    expect(await server.end).toBe(0)
    expect(server.err()).toContain('Stopped.')
    expect(await postmasterPid(join(fresh, 'data'))).toBeUndefined()
  })

  it('leaves no Postgres running when a program exits without closing the server', async () => {
    const program = join(directory, 'program.mjs')
    await writeFile(
      program,
      `import { createServer } from ${JSON.stringify(join(CLI, '../index.js'))}
      await createServer({ dataDir: ${JSON.stringify(directory)}, port: 0 })
      process.stdin.once('data', () => { throw new Error('a fault of the program') })
      console.log('started')`,
    )
    const { child, out, err, end } = commands.spawn(process.execPath, [program], { stdio: 'pipe' })
    await waitUntil(() => out().includes('started'), `the program in ${err()}`, 60_000)
    const database = await postgres()
    child.stdin?.write('now\n')
    expect(await end).toBe(1)
    await gone(database)
  })

  it('keeps running when its output is no longer read', async () => {
    const server = await serve('--log-level', 'debug')
    server.child.stdout?.destroy()
    server.child.stderr?.destroy()
    for (let n = 0; n < 3; n++) {
      const subscription = await overSse('GET')(server.url, 'subscription { channel(name: "x") { payload } }')
      await subscription.close() // each is two lines in the log
    }
    expect((await fetch(`${server.url}/readyz`)).status).toBe(200)
    server.child.kill('SIGTERM')
    expect(await server.end).toBe(0)
  })

  it('keeps running when the disk of its log is full', async () => {
    const port = await freePort()
    const server = commands.spawn('/bin/sh', [
      '-c',
      `exec ${process.execPath} ${CLI} --port ${port} --data-dir ${directory} > /dev/full 2> /dev/full`,
    ])
    const isReady = () =>
      fetch(`http://localhost:${port}/readyz`)
        .then(({ ok }) => ok)
        .catch(() => false)
    await waitUntil(isReady, 'the server to be ready')
    server.child.kill('SIGTERM')
    expect(await server.end).toBe(0)
  })
})

describe('tail', () => {
  it.each(STOP_SIGNALS)('without a server ends quietly on %s', async signal => {
    const tail = commands.run('tail', 'people', 'orders', '--url', NOWHERE)
    await waitUntil(() => tail.err().includes('trying again'), 'tail to try')
    tail.child.kill(signal)
    expect(await tail.end).toBe(signal)
    expect(tail.err()).toMatch(/^-- no server answers \(connect ECONNREFUSED .+\): .+; trying again\n$/)
    expect(tail.out()).toBe('')
  })

  it('reports once that no server answers, and listens when one does', async () => {
    const first = await commands.serve('--database-url', database.url)
    first.child.kill('SIGTERM')
    await first.end
    const port = new URL(first.url).port
    const tail = commands.run('tail', 'people', '--url', first.url)
    await waitUntil(() => tail.err().includes('trying again'), 'tail to try')
    const again = commands.run('serve', '--port', port, '--database-url', database.url)
    await waitUntil(() => tail.err().includes('listening to people'), `tail to listen, ${again.err()}`)
    expect(tail.err().match(/trying again/g)).toHaveLength(1)
  })

  it('ends quietly when the reader of its output is gone', async () => {
    const server = await commands.serve('--database-url', database.url)
    const tail = commands.run('tail', 'people', '--url', server.url)
    await waitUntil(() => tail.err().includes('listening to people'), 'tail to listen')
    tail.child.stdout?.destroy()
    await database.query(`select pg_notify('people', g::text) from generate_series(1, 3) g`)
    expect(await tail.end).toBe(0)
    expect(tail.err()).not.toContain('Error')
  })

  it('prints the refusal of the server, and ends', async () => {
    const server = await commands.serve('--database-url', database.url, '--channels', 'people')
    const tail = commands.run('tail', 'orders', '--url', server.url)
    expect(await tail.end).toBe(1)
    expect(tail.err()).toContain('listenql: orders: ')
  })
})

describe('commands that use the database', () => {
  const running = (what: string) =>
    database.query(
      `select pid from pg_stat_activity where datname = current_database() and state = 'active' and query like '${what}' and pid <> pg_backend_pid()`,
    )

  it.each(STOP_SIGNALS)('sql leaves no statement running on %s', async signal => {
    const url = database.adminUrl
    const sql = commands.run('sql', 'select pg_sleep(1000)', '--database-url', url)
    await waitUntil(async () => (await running('select pg_sleep%')).length > 0, 'the statement to run')
    sql.child.kill(signal)
    expect(await sql.end).toBe(signal)
    expect(sql.err()).toMatch(/^(ERROR: {2}57014: canceling statement due to user request\n)?$/)
    await waitUntil(async () => (await running('select pg_sleep%')).length === 0, 'the statement to end')
  })

  it('watch ends while it waits for a lock', async () => {
    await database.query('create table if not exists held (id int primary key)')
    const holder = commands.run(
      'sql',
      'begin; lock table held; select pg_sleep(1000)',
      '--database-url',
      database.adminUrl,
    )
    await waitUntil(async () => (await running('begin; lock%')).length > 0, 'the lock')
    const watch = commands.run('watch', 'held', '--database-url', database.adminUrl)
    await waitUntil(() => watch.err().includes('waiting for'), 'watch to wait')
    watch.child.kill('SIGTERM')
    expect(await watch.end).toBe('SIGTERM')
    holder.child.kill('SIGINT')
    await holder.end
    await waitUntil(
      async () =>
        (await database.query(`select 1 from pg_stat_activity where application_name = 'listenql watch'`))
          .length === 0,
      'the session of watch to end',
    )
  })

  it.each([['schema'], ['config', '--example'], ['help']])(
    '%s ends quietly without a reader',
    async (...argv) => {
      const command = commands.spawn(
        '/bin/sh',
        ['-c', `${process.execPath} ${CLI} ${argv.join(' ')} | head -n 1`],
        { env: { ...cleanEnvironment(), DATABASE_URL: database.adminUrl } },
      )
      expect(await command.end).toBe(0)
      expect(command.err()).toBe('')
      expect(command.out().split('\n')).toHaveLength(2)
    },
  )

  it('reports that the output cannot be written', async () => {
    const command = commands.spawn('/bin/sh', [
      '-c',
      `${process.execPath} ${CLI} config --example > /dev/full`,
    ])
    expect(await command.end).toBe(1)
    expect(command.err()).toBe(
      'listenql: the output cannot be written: ENOSPC: no space left on device, write\n',
    )
  })
})
