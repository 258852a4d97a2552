import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { startEmbeddedPostgres } from '../../src/embedded/index.js'
import { migrate } from '../../src/log/migrations.js'

/** A database that belongs to the benchmark, with schema `listenql` installed. */
export interface BenchDatabase {
  /** The URL of a superuser, which is needed to set `commit_delay`. */
  readonly url: string
  /** Version and settings of the server: `18.4`, its `wal_sync_method`, `shared_buffers`. */
  readonly version: string
  query(sql: string, values?: readonly unknown[]): Promise<Record<string, unknown>[]>
  close(): Promise<void>
}

/**
 * Creates the database `listenql_bench` in the Postgres of `url`, which must name a superuser. Without `url`, it starts an embedded
 * Postgres in a temporary folder and deletes it at the end. That Postgres has its default settings: commits are flushed to disk.
 * @param directory data directory of the embedded Postgres; default: the system's folder for temporary files
 */
export async function createBenchDatabase(options: {
  url?: string | undefined
  directory?: string | undefined
}): Promise<BenchDatabase> {
  const server = options.url === undefined ? await startOwn(options.directory ?? tmpdir()) : undefined
  const admin = server?.url ?? options.url ?? ''
  const url = new URL(admin)
  url.pathname = '/listenql_bench'
  try {
    await once(admin, 'drop database if exists listenql_bench with (force)', 'create database listenql_bench')
    const client = new pg.Client(url.href)
    await client.connect()
    await migrate(client)
    const { rows } =
      await client.query(`select current_setting('server_version') || ', wal_sync_method ' || current_setting('wal_sync_method')
      || ', shared_buffers ' || current_setting('shared_buffers') || ', synchronous_commit ' || current_setting('synchronous_commit')
      || ', fsync ' || current_setting('fsync') as version`)
    return {
      url: url.href,
      version: String(rows[0]?.version),
      query: async (sql, values = []) => (await client.query(sql, [...values])).rows,
      async close() {
        await client.end()
        await once(admin, 'drop database if exists listenql_bench with (force)')
        await server?.close()
      },
    }
  } catch (error) {
    await server?.close()
    throw error
  }
}

async function startOwn(folder: string): Promise<{ url: string; close(): Promise<void> }> {
  const directory = await mkdtemp(join(folder, 'listenql-bench-'))
  await chmod(directory, 0o755) // as root, Postgres runs as another user
  try {
    const postgres = await startEmbeddedPostgres({ directory, settings: { max_connections: '120' } })
    return {
      url: postgres.adminUrl,
      async close() {
        await postgres.close()
        await rm(directory, { recursive: true, force: true, maxRetries: 5 })
      },
    }
  } catch (error) {
    await rm(directory, { recursive: true, force: true, maxRetries: 5 })
    throw error
  }
}

async function once(url: string, ...statements: readonly string[]): Promise<void> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    for (const statement of statements) await client.query(statement)
  } finally {
    await client.end()
  }
}
