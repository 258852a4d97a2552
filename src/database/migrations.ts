import type { ClientBase } from 'pg'
import { ListenqlError, messageOf } from '../lib/errors.js'
import { BEGIN } from './lock-retry.js'
import { type Migration, readMigrations } from './migration-files.js'

export interface MigrateOptions {
  /** Default: those of the package. */
  readonly migrations?: readonly Migration[]
}

/** What two processes that migrate at once wait on; any constant will do. */
const LOCK = 7_283_646_515_001

/** What a process meets that was overtaken where the lock is not shared: duplicate keys and objects, and changed rows. */
const OVERTAKEN = new Set(['23505', '42P06', '42P07', '42710', '42723', '40001', '40P01', 'XX000'])

/**
 * Brings schema `listenql` up to date: each migration in a transaction of its own, together with its row in
 * `listenql.migration`. Safe when several processes do it at once. Needs a connection of its own, outside a transaction, as
 * a role that may create schemas in the database, or that owns schema `listenql`.
 * @returns versions before and after; 0 is a database without schema `listenql`
 * @throws ListenqlError DATABASE_FAILED if the database is newer than this program, or Postgres refuses
 */
export async function migrate(
  client: ClientBase,
  options: MigrateOptions = {},
): Promise<{ from: number; to: number }> {
  const migrations = options.migrations ?? readMigrations()
  const from = await installedVersion(client)
  refuseNewer(from, migrations)
  for (const migration of migrations) {
    if (migration.version > from) await apply(client, migration)
  }
  return { from, to: Math.max(from, migrations.length) }
}

/** The version of schema `listenql`; 0 if there is none. */
export async function installedVersion(client: ClientBase): Promise<number> {
  const { rows } = await client.query<{ present: boolean }>(
    `select to_regclass('listenql.migration') is not null as present`,
  )
  if (!rows[0]?.present) return 0
  const newest = await client.query<{ version: number }>(
    'select coalesce(max(version), 0)::int as version from listenql.migration',
  )
  return newest.rows[0]?.version ?? 0
}

function refuseNewer(version: number, migrations: readonly Migration[]): void {
  if (version <= migrations.length) return
  throw new ListenqlError(
    'DATABASE_FAILED',
    `schema listenql has version ${version}, this program knows up to ${migrations.length}`,
    { hint: 'a newer listenql has been here: run that version' },
  )
}

async function apply(client: ClientBase, migration: Migration): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await client.query(BEGIN)
      await client.query('select pg_advisory_xact_lock($1)', [LOCK])
      if ((await installedVersion(client)) < migration.version) {
        await client.query(migration.sql)
        await client.query('insert into listenql.migration (version, name) values ($1, $2)', [
          migration.version,
          migration.name,
        ])
      }
      await client.query('commit')
      return
    } catch (error) {
      await client.query('rollback').catch(() => undefined)
      const code = (error as { code?: string }).code
      // The lock may not be shared (a pooler that runs each statement elsewhere): then what the winner made stops us.
      if (attempt < 5 && code !== undefined && OVERTAKEN.has(code)) continue
      throw failed(migration, error)
    }
  }
}

function failed(migration: Migration, error: unknown): ListenqlError {
  const denied = (error as { code?: string }).code === '42501'
  return new ListenqlError(
    'DATABASE_FAILED',
    `migration ${migration.version} (${migration.name}) failed: ${messageOf(error)}`,
    {
      hint: denied
        ? 'it takes a role with CREATE on the database; or let a DBA run what `listenql install --print` prints'
        : 'nothing of it was kept; correct the cause and run it again',
      cause: error,
    },
  )
}
