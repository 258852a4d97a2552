import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createNetServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createServer, type ListenqlServer } from '../../src/index.js'
import { overGraphqlWs } from '../support/clients.js'
import { dataOf, query } from '../support/graphql-request.js'
import { createLog, type TestLog } from '../support/log.js'
import { canConnect, waitUntil } from '../support/wait.js'

/** Path of PgBouncer; LISTENQL_PGBOUNCER names it, so that the test fails rather than skips. */
const pgbouncer = process.env.LISTENQL_PGBOUNCER ?? find('pgbouncer')

function find(program: string): string | undefined {
  try {
    return execFileSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).trim()
  } catch {
    return undefined
  }
}

function freePort(): Promise<number> {
  return new Promise(resolve => {
    const server = createNetServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}

if (!pgbouncer) console.warn('PgBouncer is not installed: tests of the pooler are skipped.')
describe.skipIf(!pgbouncer)('through PgBouncer in transaction mode, with doorbell: poll', () => {
  let log: TestLog
  let folder: string
  let child: ChildProcess
  let server: ListenqlServer

  beforeAll(async () => {
    log = await createLog()
    await log.query('create table people (pk int primary key, name text)')
    await log.watch('people')
    folder = mkdtempSync(join(tmpdir(), 'listenql-pooler-'))
    const { hostname, port, username, password, pathname } = new URL(log.database.url)
    const listenPort = await freePort()
    writeFileSync(join(folder, 'users.txt'), `"${username}" "${password}"\n`)
    writeFileSync(
      join(folder, 'pgbouncer.ini'),
      `[databases]
${pathname.slice(1)} = host=${hostname} port=${port} password=${password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${listenPort}
unix_socket_dir =
auth_type = trust
auth_file = ${join(folder, 'users.txt')}
pool_mode = transaction
default_pool_size = 3
`,
    )
    execFileSync('chmod', ['-R', 'a+rX', folder])
    const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : [] // it refuses to run as root
    child = spawn(pgbouncer as string, ['-q', ...user, join(folder, 'pgbouncer.ini')], { stdio: 'ignore' })
    await waitUntil(() => canConnect(listenPort), 'PgBouncer to listen')
    server = await createServer({
      databaseUrl: `postgres://${username}@127.0.0.1:${listenPort}${pathname}`,
      doorbell: 'poll',
      port: 0,
      logLevel: 'silent',
    })
  })
  afterAll(async () => {
    await server?.close()
    child?.kill('SIGKILL')
    if (folder) rmSync(folder, { recursive: true })
    await log?.close()
  })

  it('reads snapshots, and delivers what comes after them', async () => {
    await log.query(`insert into people values (1, 'before')`)
    const { people } = await query(server.url, '{ people { cursor rows { pk name } } }')
    const { cursor, rows } = people as { cursor: string; rows: unknown[] }
    expect(rows).toEqual([{ pk: 1, name: 'before' }])
    const subscription = await overGraphqlWs(
      server.url,
      'subscription ($after: String) { peopleChanged(after: $after) { row { pk name } } }',
      { after: cursor },
    )
    for (let i = 2; i < 50; i++) await log.query('insert into people values ($1, $2)', [i, `n${i}`])
    for (let i = 2; i < 50; i++) {
      expect(dataOf(await subscription.results.next())).toEqual({
        peopleChanged: { row: { pk: i, name: `n${i}` } },
      })
    }
    await subscription.close()
  })
})
