import pg, { type ClientBase } from 'pg'
import { delay } from '../lib/abort.js'
import { ListenqlError, messageOf } from '../lib/errors.js'
import { ask, BEGIN, inReading, inTransaction } from '../postgres/lock-retry.js'
import { hasSqlState, SQL_STATE } from '../postgres/sql-state.js'
import { type Migration, readMigrations } from './migration-files.js'
import { missingParts, partsOf, readParts, versionOf } from './schema-parts.js'

export interface MigrateOptions {
  /** Default: the migrations of this package. */
  readonly migrations?: readonly Migration[]
}

export interface Migrated {
  /** The version before; 0: the database had no schema `listenql`. */
  readonly from: number
  readonly to: number
  /** The schema came from a dump without the rows of the log. It has been repaired, and a new history begins. */
  readonly wasRestored?: true
}

/** Key of the advisory lock that serialises processes that migrate at once. The number is arbitrary. */
const MIGRATION_LOCK_KEY = 7_283_646_515_001

/**
 * Errors that mean that another process has applied the migration meanwhile, where the advisory lock was not shared: the objects
 * exist, or rows have changed.
 */
const OVERTAKEN = [
  SQL_STATE.uniqueViolation,
  SQL_STATE.duplicateColumn,
  SQL_STATE.duplicateSchema,
  SQL_STATE.duplicateTable,
  SQL_STATE.duplicateObject,
  SQL_STATE.duplicateFunction,
  SQL_STATE.serializationFailure,
  SQL_STATE.deadlockDetected,
  SQL_STATE.internalError,
]

/** Longest wait for a table lock, in ms, since writers queue up after the waiting request. As in `withLocks`. */
const LOCK_TIMEOUT_MS = 800

/** How long a migration is retried while its locks cannot be obtained, in ms. */
const LOCK_PATIENCE_MS = 60_000

/** How often other processes may get ahead of this one with a migration; waits for locks do not count. */
const MAX_LOST_RACES = 5

/** The first version whose schema can repair itself: `listenql.newest()` begins a new history if the rows of the log are missing. */
const FIRST_REPAIRABLE_VERSION = 10

/**
 * Brings schema `listenql` up to date. Each migration runs in its own transaction, together with its row in `listenql.migration`.
 * A schema that was restored from a dump without the rows of the log is repaired. Several processes may migrate at once.
 * @param client a dedicated connection, outside a transaction, of a role that may create schemas in the database or owns schema
 * `listenql`
 * @throws ListenqlError DATABASE_FAILED if the schema is newer than this program, parts of it are missing, or Postgres refuses
 */
export async function migrate(client: ClientBase, options: MigrateOptions = {}): Promise<Migrated> {
  const migrations = options.migrations ?? readMigrations()
  await removeShell(client, migrations)
  const from = await inReading(client, async () => {
    const version = await versionNow(client, migrations)
    refuseNewer(version, migrations)
    await refuseIncomplete(client, migrations)
    return version
  })
  for (const migration of migrations) {
    if (migration.version > from) await apply(client, migration, migrations)
  }
  const to = Math.max(from, migrations.length)
  const wasRestored = from > 0 && to >= FIRST_REPAIRABLE_VERSION && (await makeWhole(client))
  return { from, to, ...(wasRestored && { wasRestored }) }
}

/**
 * The version of schema `listenql`; 0 if there is none. If the rows of `listenql.migration` are missing (as in a dump without them)
 * or may not be read, the version is derived from the objects of the schema.
 */
export function installedVersion(
  client: ClientBase,
  migrations: readonly Migration[] = readMigrations(),
): Promise<number> {
  return inReading(client, () => versionNow(client, migrations))
}

/** `installedVersion` for a client that is inside a transaction. */
export async function versionNow(
  client: ClientBase,
  migrations: readonly Migration[] = readMigrations(),
): Promise<number> {
  const { rows } = await client.query<{ rows: boolean; derived: number | null }>(
    `select exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where n.nspname = 'listenql' and c.relname = 'migration' and pg_catalog.has_schema_privilege(n.oid, 'usage')
           and pg_catalog.has_table_privilege(c.oid, 'select')) as rows,
       (select pg_catalog.substring(p.prosrc, '\\d+')::pg_catalog.int4 from pg_catalog.pg_proc p
        join pg_catalog.pg_namespace n on n.oid = p.pronamespace
        where n.nspname = 'listenql' and p.proname = 'schema_version' limit 1) as derived`,
  )
  const [state] = rows
  const noted = state?.rows
    ? await client.query<{ version: number }>(
        'select pg_catalog.max(version) as version from listenql.migration',
      )
    : undefined
  const version = Math.max(noted?.rows[0]?.version ?? 0, state?.derived ?? 0)
  return version > 0 ? version : versionOf(await readParts(client), migrations)
}

/** SQL that records that a migration has been applied. */
export function noteSql({ version, name }: Migration): string {
  return `insert into listenql.migration (version, name) values (${version}, ${pg.escapeLiteral(name)});
create or replace function listenql.schema_version() returns int language sql immutable
  set search_path = pg_catalog, pg_temp as 'select ${version}';
revoke all on function listenql.schema_version() from public;
`
}

function refuseNewer(version: number, migrations: readonly Migration[]): void {
  if (version <= migrations.length) return
  throw new ListenqlError(
    'DATABASE_FAILED',
    `schema listenql has version ${version}, this program supports versions up to ${migrations.length}`,
    { hint: 'the schema was installed by a newer listenql: run that version' },
  )
}

/**
 * Refuses a schema of which a partial dump has restored only some objects: it cannot be used. The client must be inside a
 * transaction.
 * @throws ListenqlError DATABASE_FAILED if a part of the schema is missing
 */
export async function refuseIncomplete(
  client: ClientBase,
  migrations: readonly Migration[] = readMigrations(),
): Promise<void> {
  const installed = migrations.slice(0, await versionNow(client, migrations))
  const missing = missingParts(partsOf(installed), await readParts(client))
  // Partitions are made again.
  const first = missing.find(({ name }) => !/^event_\d$/.test(name))
  if (!first) return
  throw new ListenqlError(
    'DATABASE_FAILED',
    `schema listenql is incomplete, as of a dump of some objects only: ${first.kind} listenql.${first.name} is missing`,
    { hint: 'remove the rest of the schema, then watch again: listenql uninstall, listenql watch TABLE' },
  )
}

/** Removes what `pg_dump --table` has restored: tables without any function, which cannot be used and hold nothing that is needed. */
async function removeShell(client: ClientBase, migrations: readonly Migration[]): Promise<void> {
  const found = await inReading(client, () => readParts(client))
  const own = partsOf(migrations).filter(part => missingParts([part], found).length === 0)
  if (own.length === 0 || found.some(({ kind }) => kind === 'function')) return
  const names = (kind: string) =>
    own
      .filter(part => part.kind === kind)
      .map(({ name }) => `listenql.${name}`)
      .join(', ')
  await inTransaction(client, async () => {
    // Without CASCADE: objects that users have built on them must not be dropped.
    for (const kind of ['view', 'table', 'sequence', 'type']) {
      if (names(kind)) await client.query(`drop ${kind} if exists ${names(kind)}`)
    }
  })
}

async function apply(
  client: ClientBase,
  migration: Migration,
  migrations: readonly Migration[],
): Promise<void> {
  const deadline = performance.now() + LOCK_PATIENCE_MS
  let overtaken = 0
  for (let attempt = 1; ; attempt++) {
    try {
      await client.query(BEGIN)
      await client.query('select pg_advisory_xact_lock($1)', [MIGRATION_LOCK_KEY])
      await client.query(`set local lock_timeout = ${LOCK_TIMEOUT_MS}`)
      if ((await versionNow(client, migrations)) < migration.version) {
        await client.query(migration.sql)
        await client.query(noteSql(migration))
      }
      await client.query('commit')
      return
    } catch (error) {
      await client.query('rollback').catch(() => undefined)
      // The lock may not be shared, as with a pooler that runs each statement in another session. Then the objects that the winner
      // has created make this process fail, and the next attempt finds the migration applied.
      if (hasSqlState(error, ...OVERTAKEN) && ++overtaken < MAX_LOST_RACES) continue
      if (isInUse(error) && performance.now() < deadline) {
        await delay(Math.min(250 * attempt, 5000), new AbortController().signal)
        continue
      }
      throw failed(migration, error)
    }
  }
}

/** Begins a new history if rows of the log are missing. @returns whether they were */
async function makeWhole(client: ClientBase): Promise<boolean> {
  const rows = await ask<{ whole: boolean }>(client, 'select listenql.is_whole() as whole')
  if (rows[0]?.whole) return false
  await inTransaction(client, () => client.query('select listenql.newest()'))
  return true
}

/** Whether a transaction that writes to a watched table holds a lock that is needed. */
function isInUse(error: unknown): boolean {
  return hasSqlState(error, SQL_STATE.lockNotAvailable)
}

function failed(migration: Migration, error: unknown): ListenqlError {
  return new ListenqlError(
    'DATABASE_FAILED',
    `migration ${migration.version} (${migration.name}) failed: ${messageOf(error)}`,
    {
      hint: hasSqlState(error, SQL_STATE.insufficientPrivilege)
        ? 'this needs a role with CREATE on the database; or have a DBA run the output of `listenql install --print`'
        : isInUse(error)
          ? 'a long transaction is writing to a watched table: try again when it has ended'
          : 'the migration was rolled back; fix the cause and run it again',
      cause: error,
    },
  )
}
