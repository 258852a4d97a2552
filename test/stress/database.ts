import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import pg from 'pg'
import { runCli } from '../support/cli.js'
import { type PrivatePostgres, postmasterPid, startPrivatePostgres } from '../support/postgres.js'
import { sendSignal } from '../support/send-signal.js'
import { SCENE, type Scene } from './scene.js'

export type Query = <R extends pg.QueryResultRow>(sql: string, values?: readonly unknown[]) => Promise<R[]>

/** The Postgres of a run, which is killed repeatedly, and its database. */
export interface StressDatabase {
  /** URL of the servers' login. */
  readonly serverUrl: string
  readonly writerUrl: string
  readonly adminUrl: string
  /** Runs a query as superuser, on a new connection. Rejects while Postgres is down. */
  readonly query: Query
  /** The same for several queries in a row. */
  session<T>(task: (query: Query) => Promise<T>): Promise<T>
  /** Stops Postgres like a crash, and starts it again after a while. */
  crash(how: CrashKind, pause: () => Promise<void>): Promise<void>
  close(): Promise<void>
}

/**
 * `kill -9`: kills the postmaster and all its processes. `immediate`: does what `pg_ctl stop -m immediate` does. `backend`: kills one
 * session with -9, after which Postgres ends all sessions and recovers by itself.
 */
export type CrashKind = 'kill -9' | 'immediate' | 'backend'

export async function startStressDatabase(scene: Scene = SCENE): Promise<StressDatabase> {
  const postgres = await startPrivatePostgres({ packageFolder: process.env.LISTENQL_STRESS_POSTGRES })
  const on = (url: string, database: string) => Object.assign(new URL(url), { pathname: `/${database}` }).href
  const adminUrl = on(postgres.adminUrl, 'stress')
  const password = randomBytes(12).toString('hex')
  await queryOnce(postgres.adminUrl, 'create database stress')
  await queryOnce(adminUrl, scene.sql)
  const login = new URL(postgres.url).username
  if (scene.viewerRoles) await queryOnce(adminUrl, `grant ${scene.viewerRoles.join(', ')} to ${login}`)
  for (const argv of [
    ['install', '--grant-to', login],
    ['watch', '--grant-to', login, ...scene.watched],
  ]) {
    const { code, stderr } = await runCli([...argv, '--database-url', adminUrl])
    if (code !== 0) throw new Error(`listenql ${argv[0]} failed: ${stderr}`)
  }
  await queryOnce(adminUrl, `create role writer login password '${password}'; ${scene.grants('writer')}`)
  const writerUrl = Object.assign(new URL(adminUrl), { username: 'writer', password }).href
  return {
    serverUrl: on(postgres.url, 'stress'),
    writerUrl,
    adminUrl,
    query: (sql, values) => queryOnce(adminUrl, sql, values),
    session: task => session(adminUrl, task),
    async crash(how, pause) {
      await holdTables(adminUrl, scene.watched, async () => {
        if (how === 'backend') await killBackend(adminUrl)
        else if (how === 'kill -9') await killAll(postgres)
        else await postgres.stop('immediate')
      })
      if (how === 'backend') return
      await pause()
      await postgres.start()
    },
    close: () => postgres.close(),
  }
}

const queryOnce = <R extends pg.QueryResultRow>(url: string, text: string, values?: readonly unknown[]) =>
  session(url, query => query<R>(text, values))

async function session<T>(connectionString: string, task: (query: Query) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    connectionString,
    application_name: 'stress',
    connectionTimeoutMillis: 5000,
    query_timeout: 60_000,
  })
  client.on('error', () => undefined) // the running query rejects with the same error
  try {
    await client.connect()
    return await task(async (text, values = []) => (await client.query(text, [...values])).rows)
  } finally {
    await client.end().catch(() => undefined)
  }
}

/**
 * Crashes Postgres while no table can be truncated, and after a look at the catalogue. A table that was rewritten between the last look
 * and a crash may have been unlogged and emptied, so its history would end: the run has no such case.
 */
async function holdTables(
  adminUrl: string,
  tables: readonly string[],
  crash: () => Promise<void>,
): Promise<void> {
  let hasCrashed = false
  try {
    await session(adminUrl, async query => {
      await query(`set lock_timeout = '5s'`)
      await query(`begin`)
      await query(`lock table ${tables.join(', ')} in access share mode`)
      await queryOnce(adminUrl, 'select * from listenql.refresh()')
      hasCrashed = true
      await crash()
    })
  } catch (error) {
    if (hasCrashed) throw error
    await crash() // Postgres is away already
  }
}

/** Picks any process that serves a client, of a server or a writer. */
async function killBackend(adminUrl: string): Promise<void> {
  const [backend] = await queryOnce<{ pid: number }>(
    adminUrl,
    `select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() order by random() limit 1`,
  )
  if (backend) sendSignal(backend.pid, 'SIGKILL')
}

async function killAll(postgres: PrivatePostgres): Promise<void> {
  const pid = await postmasterPid(`${postgres.directory}/data`)
  const children = pid === undefined ? [] : await childrenOf(pid)
  await postgres.kill()
  for (const child of children) sendSignal(child, 'SIGKILL')
}

async function childrenOf(parent: number): Promise<number[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid='])
  return stdout
    .split('\n')
    .map(line => line.trim().split(/\s+/).map(Number))
    .flatMap(([pid, ppid]) => (ppid === parent && pid !== undefined ? [pid] : []))
}
