import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { inject } from 'vitest'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/embedded/index.js'
import { identifyProcess, isAlive } from '../../src/embedded/process-identity.js'
import { QUICK_SETTINGS } from './global-setup.js'
import { sendSignal } from './send-signal.js'
import { waitUntil } from './wait.js'

export type Row = Record<string, unknown>

/** URL of the superuser of the Postgres that the tests of this worker share. */
export function sharedPostgres(): string {
  const urls = inject('postgresAdminUrls')
  return urls[(Number(process.env.VITEST_POOL_ID) - 1) % urls.length] as string
}

/** A fresh, empty database (UTF8 unless another encoding is requested, locale C) in the shared Postgres. */
export interface TestDatabase {
  /** URL of a new login without superuser, which owns nothing. */
  readonly url: string
  /** URL of the superuser on the same database. */
  readonly adminUrl: string
  readonly name: string
  /** Runs SQL as the superuser, on a small pool. */
  query(sql: string, params?: readonly unknown[]): Promise<Row[]>
  /** Drops the database and the login, even if sessions are still connected. Idempotent. */
  close(): Promise<void>
}

/** @param options.encoding of the database. Default: UTF8 */
export async function createTestDatabase({ encoding = 'UTF8' } = {}): Promise<TestDatabase> {
  const server = sharedPostgres()
  const name = `test_${randomBytes(6).toString('hex')}`
  const password = randomBytes(12).toString('hex')
  await once(server, [
    `create role ${name} login nosuperuser nocreatedb nocreaterole password '${password}'`,
    `create database ${name} template template0 encoding '${encoding}' lc_collate 'C' lc_ctype 'C'`,
  ])
  const adminUrl = withDatabase(server, name)
  const url = new URL(adminUrl)
  url.username = name
  url.password = password
  const pool = new pg.Pool({ connectionString: adminUrl, max: 4, application_name: 'test' })
  pool.on('error', () => undefined) // Tests end connections on purpose.
  let closed: Promise<void> | undefined
  return {
    url: url.href,
    adminUrl,
    name,
    async query(sql, params = []) {
      return (await pool.query<Row>(sql, [...params])).rows
    },
    close() {
      closed ??= pool
        .end()
        .then(() =>
          once(server, [`drop database if exists ${name} with (force)`, `drop role if exists ${name}`]),
        )
      return closed
    },
  }
}

/** A Postgres for one test alone, which the test can stop, start and kill. It always uses the same port. */
export interface PrivatePostgres {
  readonly url: string
  readonly adminUrl: string
  readonly port: number
  readonly directory: string
  /**
   * `fast` disconnects clients, `immediate` acts like a crash, `smart` waits for clients to leave. Resolves once Postgres is
   * gone.
   */
  stop(mode: 'fast' | 'immediate' | 'smart'): Promise<void>
  start(): Promise<void>
  /** Sends SIGKILL to the main process. */
  kill(): Promise<void>
  /** Stops Postgres and deletes its data. Idempotent. */
  close(): Promise<void>
}

const SIGNALS = { fast: 'SIGINT', immediate: 'SIGQUIT', smart: 'SIGTERM' } as const

export async function startPrivatePostgres(
  options: { settings?: Record<string, string>; packageFolder?: string | undefined } = {},
): Promise<PrivatePostgres> {
  const directory = await mkdtemp(join(inject('postgresRoot'), 'private-'))
  await chmod(directory, 0o755) // If the process is root, Postgres runs as another user, which must be able to enter the folder.
  const settings = { ...QUICK_SETTINGS, ...options.settings }
  const { packageFolder } = options
  let running: EmbeddedPostgres = await startEmbeddedPostgres({ directory, settings, packageFolder })
  const { serverUrl, adminUrl, port, dataDirectory } = running

  async function end(signal: NodeJS.Signals): Promise<void> {
    const pid = await postmasterPid(dataDirectory)
    const identity = pid === undefined ? undefined : await identifyProcess(pid)
    if (!identity) return
    sendSignal(identity.pid, signal)
    await waitUntil(async () => !(await isAlive(identity)), 'Postgres to end')
  }
  let closed: Promise<void> | undefined
  return {
    url: serverUrl,
    adminUrl,
    port,
    directory,
    stop: mode => end(SIGNALS[mode]),
    async start() {
      const former = running
      running = await startEmbeddedPostgres({ directory, settings, packageFolder, port })
      // Releases the former use; Postgres keeps running, because the new use holds it.
      await former.close()
    },
    kill: () => end('SIGKILL'),
    close() {
      closed ??= running.close().then(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }))
      return closed
    },
  }
}

/** Returns the first line of `postmaster.pid`; undefined if the file does not exist. */
export async function postmasterPid(dataDirectory: string): Promise<number | undefined> {
  const text = await readFile(join(dataDirectory, 'postmaster.pid'), 'utf8').catch(() => undefined)
  return text === undefined ? undefined : Number(text.split('\n')[0])
}

function withDatabase(url: string, database: string): string {
  const changed = new URL(url)
  changed.pathname = `/${database}`
  return changed.href
}

async function once(connectionString: string, statements: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    for (const statement of statements) await client.query(statement)
  } finally {
    await client.end()
  }
}
