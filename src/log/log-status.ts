import type { ClientBase } from 'pg'
import { type Unindexed, unindexedForeignKeys } from '../catalog/foreign-keys.js'
import { ListenqlError } from '../lib/errors.js'
import { inReading } from '../postgres/lock-retry.js'
import { hasSqlState, SQL_STATE } from '../postgres/sql-state.js'
import { refuseIncomplete, versionNow } from './migrations.js'
import { isLeaderSql } from './pace/leadership.js'

/** The state of the log, its tables and its servers. Times are by the clock of the database; sizes are in bytes. */
export interface LogStatus {
  /** Version of schema `listenql`. */
  readonly version: number
  readonly postgres: string
  readonly database: string
  readonly now: Date
  readonly tables: readonly TableStatus[]
  readonly log: {
    readonly bytes: number
    /** When the oldest kept event was logged. Null: no event is kept. */
    readonly oldest: Date | null
    readonly batches: number
    /**
     * The newest batch; a new subscriber begins at its end. Null: the log was restored from a dump without its rows, and the next
     * server, `watch` or `install` begins a new history.
     */
    readonly position: { readonly n: number; readonly token: number; readonly at: Date } | null
    /** Events that are not in a batch yet, counted up to 10001. */
    readonly pending: number
    readonly pendingSince: Date | null
  }
  /** True: every server sleeps, and the next commit notifies. False: a server is awake, or no server uses the doorbell. */
  readonly bellArmed: boolean
  /** Connections of running servers to this database. */
  readonly listening: readonly Connection[]
  readonly reading: readonly ReadingConnection[]
  /** The part of Postgres's notification queue that is in use, from 0 to 1. */
  readonly notificationQueue: number
  /** Logins whose sessions begin with session_replication_role = replica, in which triggers do not fire. `all`: every login. */
  readonly silentLogins: readonly string[]
  /** Long transactions that may have written: events that they may have logged cannot be cleared yet. */
  readonly longTransactions: readonly { readonly words: string; readonly since: Date }[]
  readonly troubles: readonly Trouble[]
  /** Foreign keys between watched tables that have no index. */
  readonly unindexed: readonly Unindexed[]
}

/** A note of a server about a part of the log that it cannot read. */
export interface Trouble {
  /** The table or channel, or the server that has stalled. */
  readonly subject: string
  readonly place: string
  readonly reason: string
  /** Whether the server cannot read past that place. */
  readonly stalled: boolean
  readonly at: Date
}

export interface Connection {
  readonly pid: number
  /** Null if the login may not see it. */
  readonly since: Date | null
  readonly address: string | null
}

export interface ReadingConnection extends Connection {
  /** Whether its server adds events to the ledger at the full pace, see `Leadership`. */
  readonly leads: boolean
}

export interface TableStatus {
  /** As SQL: `people`, `chat.messages`. */
  readonly name: string
  readonly generation: number
  /** Since when its history is complete. Null: it has no history at the moment. */
  readonly since: Date | null
  readonly key: readonly string[]
  readonly always: boolean
  /** The table and its partitions or children, as far as a trigger of theirs is missing or disabled. */
  readonly lacking: readonly string[]
  /** The root tables of which it is a partition or a child. Writes through them are not logged. */
  readonly partOf: readonly string[]
  /** The table and its partitions or children, as far as they are unlogged: a crash empties them. */
  readonly unlogged: readonly string[]
  /** Whether the server's login may SELECT from it, which snapshots need. */
  readonly readable: boolean
}

/**
 * Reads the state of the event log, its tables and its servers.
 * @param serverLogin the login whose privileges are reported. Default: the login of `client`
 * @param options.longMinutes minutes after which a transaction counts as long. Default: 5
 * @returns undefined: there is no schema `listenql`
 * @throws ListenqlError DATABASE_FAILED if the login may not read the status, or parts of the schema are missing
 */
export function readLogStatus(
  client: ClientBase,
  serverLogin?: string,
  { longMinutes = 5 }: { readonly longMinutes?: number } = {},
): Promise<LogStatus | undefined> {
  return inReading(client, () => read(client, serverLogin, longMinutes))
}

async function read(
  client: ClientBase,
  serverLogin: string | undefined,
  longMinutes: number,
): Promise<LogStatus | undefined> {
  const { rows: found } = await client.query<{ present: boolean }>(
    `select exists (select from pg_namespace where nspname = 'listenql') as present`,
  )
  if (!found[0]?.present) return undefined
  await refuseIncomplete(client)
  const row = await statusRow(client)
  const tables = await client.query<TableStatus>(TABLES, [serverLogin ?? null])
  const connections = await client.query<ReadingConnection & { name: string }>(
    `select pid, backend_start as since, host(client_addr) as address, application_name as name, ${isLeaderSql('pid')} as leads from pg_stat_activity
     where datname = current_database() and application_name in ('listenql listen', 'listenql log') order by backend_start, pid`,
  )
  const long = await client.query<{ words: string; since: Date }>(LONG_TRANSACTIONS, [longMinutes])
  const silent = await client.query<{ login: string }>(SILENT_LOGINS)
  const named = (name: string) =>
    connections.rows
      .filter(connection => connection.name === name)
      .map(({ name: _, ...connection }) => connection)
  return {
    version: row.version ?? (await versionNow(client)),
    postgres: row.postgres,
    database: row.database,
    now: row.now,
    tables: tables.rows,
    log: {
      bytes: Number(row.bytes),
      oldest: row.oldest,
      batches: Number(row.batches),
      position:
        row.position_at === null
          ? null
          : { n: Number(row.position_n), token: Number(row.position_token), at: row.position_at },
      pending: Number(row.pending),
      pendingSince: row.pending_since,
    },
    bellArmed: row.bell_armed,
    listening: named('listenql listen').map(({ leads: _, ...connection }) => connection),
    reading: named('listenql log'),
    notificationQueue: row.queue,
    longTransactions: long.rows,
    silentLogins: silent.rows.map(({ login }) => login),
    troubles: await readTroubles(client),
    unindexed: (await client.query<Unindexed>(unindexedForeignKeys('true'))).rows,
  }
}

/** No troubles if the schema is older than this program, or the login may not read them. */
async function readTroubles(client: ClientBase): Promise<Trouble[]> {
  const { rows: found } = await client.query<{ readable: boolean }>(
    `select coalesce(has_function_privilege(to_regprocedure('listenql.troubles()'), 'execute'), false) as readable`,
  )
  if (!found[0]?.readable) return []
  return (await client.query<Trouble>('select * from listenql.troubles()')).rows
}

async function statusRow(client: ClientBase): Promise<StatusRow> {
  try {
    const { rows } = await client.query<StatusRow>(
      `select s.*, clock_timestamp() as now, current_setting('server_version') as postgres, current_database()::text as database,
         pg_notification_queue_usage() as queue from listenql.status() s`,
    )
    const [row] = rows
    if (!row) throw new Error('listenql.status() gave no row')
    return row
  } catch (error) {
    if (!hasSqlState(error, SQL_STATE.insufficientPrivilege)) throw error
    throw new ListenqlError('DATABASE_FAILED', 'this login may not read the status of the event log', {
      hint: 'the owner of schema listenql can grant it: listenql install --grant-to LOGIN',
      cause: error,
    })
  }
}

interface StatusRow {
  /** Null in schemas before version 10 that were restored without their rows. */
  readonly version: number | null
  readonly postgres: string
  readonly database: string
  readonly now: Date
  readonly bytes: string
  readonly oldest: Date | null
  readonly batches: string | null
  /** This one and the next two are null if the log has no state. */
  readonly position_n: string | null
  readonly position_token: string | null
  readonly position_at: Date | null
  readonly pending: string
  readonly pending_since: Date | null
  readonly bell_armed: boolean
  readonly queue: number
}

/** Finds missing triggers in the system catalogue, which every login may read. Each table of an inheritance tree must have five. */
const TABLES = `
select w.relid::regclass::text as name, w.generation, w.since, w.key_columns as key, w.always,
  array(
    with recursive tree(relid) as (
      select w.relid union select i.inhrelid from pg_inherits i join tree t on t.relid = i.inhparent)
    select t.relid::regclass::text from tree t
    where 5 <> (select count(*) from pg_trigger g join pg_proc p on p.oid = g.tgfoid
      where g.tgrelid = t.relid and p.pronamespace = 'listenql'::regnamespace
        and p.proname in ('number_' || t.relid, 'capture_' || t.relid)
        and g.tgenabled::text in (case when w.always then 'A' else 'O' end, 'A'))
    order by 1) as lacking,
  array(
    with recursive up(relid) as (
      select i.inhparent from pg_inherits i where i.inhrelid = w.relid
      union select i.inhparent from pg_inherits i join up u on i.inhrelid = u.relid)
    select u.relid::regclass::text from up u where not exists (select from pg_inherits i where i.inhrelid = u.relid)
    order by 1) as "partOf",
  array(
    with recursive tree(relid) as (
      select w.relid union select i.inhrelid from pg_inherits i join tree t on t.relid = i.inhparent)
    select t.relid::regclass::text from tree t join pg_class k on k.oid = t.relid
    where k.relkind = 'r' and k.relpersistence <> 'p' order by 1) as unlogged,
  has_schema_privilege(coalesce($1, current_user), c.relnamespace, 'usage')
    and has_any_column_privilege(coalesce($1, current_user), w.relid, 'select') as readable
from listenql.watched w join pg_class c on c.oid = w.relid order by 1`

/** Settings of logins and of the database, https://www.postgresql.org/docs/current/catalog-pg-db-role-setting.html */
const SILENT_LOGINS = `
select distinct coalesce(quote_ident(r.rolname), 'all') as login
from pg_db_role_setting s left join pg_roles r on r.oid = s.setrole join pg_database d on d.datname = current_database()
where s.setdatabase in (0, d.oid) and 'session_replication_role=replica' = any (s.setconfig) order by 1`

const LONG_TRANSACTIONS = `
select concat('pid ', pid, coalesce(' (' || nullif(application_name, '') || ')', ''), ' of user ', usename,
    case state when 'idle in transaction' then ', idle in its transaction' end, coalesce(': ' || left(query, 80), '')) as words,
  xact_start as since
from pg_stat_activity
where datname = current_database() and backend_xid is not null and xact_start < now() - make_interval(mins => $1)
  and pid <> pg_backend_pid()
union all
select 'prepared transaction ' || quote_literal(gid), prepared from pg_prepared_xacts
where database = current_database() and prepared < now() - make_interval(mins => $1)
order by 2 limit 10`
