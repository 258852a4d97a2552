import type { ClientBase } from 'pg'
import { delay } from '../lib/abort.js'
import { ListenqlError, messageOf } from '../lib/errors.js'
import { ask, inTransaction, type Patience, withLocks } from '../postgres/lock-retry.js'
import { hasSqlState, SQL_STATE, SQL_STATE_CLASS, sqlState } from '../postgres/sql-state.js'

/** A watched table in the log. */
export interface WatchState {
  readonly generation: number
  readonly always: boolean
  /** Its history is complete since then; null: it has none at the moment. */
  readonly since: Date | null
  readonly key: readonly string[]
}

export interface WatchOutcome {
  /** Undefined: it was not watched. */
  readonly before: WatchState | undefined
  readonly now: WatchState
  /** Why its history is incomplete. */
  readonly lacking: string | undefined
}

/** The table that a name refers to. */
export interface FoundTable {
  readonly relid: string
  /** As SQL, with its schema where necessary: `people`, `chat."Mixed Case"`. */
  readonly shown: string
  readonly schema: string
  readonly table: string
}

/** How long to wait for a history to begin while another process refreshes, in ms. */
const REFRESH_TIMEOUT_MS = 10_000

/**
 * The table that a name in SQL refers to on this connection: `people`, `chat.messages`, `"Mixed Case"."t"`. Undefined if there is
 * none.
 * @throws ListenqlError DATABASE_FAILED if it is not a name
 */
export async function findTable(client: ClientBase, name: string): Promise<FoundTable | undefined> {
  try {
    // Under the search_path of the login that runs the command.
    const { rows } = await client.query<FoundTable>(
      `select c.oid::pg_catalog.text as relid, c.oid::pg_catalog.regclass::pg_catalog.text as shown,
         n.nspname::pg_catalog.text as schema, c.relname::pg_catalog.text as table
       from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
       where c.oid = pg_catalog.to_regclass($1)`,
      [name],
    )
    return rows[0]
  } catch (error) {
    // Before PostgreSQL 16, to_regclass raises an error for a text that cannot be a name.
    const { featureNotSupported } = SQL_STATE
    const { syntaxErrorOrAccessRuleViolation } = SQL_STATE_CLASS
    if (hasSqlState(error, syntaxErrorOrAccessRuleViolation, featureNotSupported)) return undefined
    throw error
  }
}

/**
 * The watched table that a name refers to, even if the table has been dropped since.
 * @throws ListenqlError DATABASE_FAILED if the login may not read which tables are watched
 */
export async function findWatched(client: ClientBase, name: string): Promise<FoundTable | undefined> {
  const found = await findTable(client, name)
  if (found) return found
  try {
    const rows = await ask<FoundTable>(
      client,
      `select relid::oid::text as relid, $1::text as shown, schema_name as schema, table_name as "table" from listenql.watched_table
       where $1 in (format('%I.%I', schema_name, table_name), quote_ident(table_name))`,
      [name],
    )
    return rows[0]
  } catch (error) {
    throw await explain(client, error)
  }
}

/** The tables that a login can find, with other spellings of their names, for suggestions. */
export async function tableNames(client: ClientBase): Promise<{ name: string; also: string[] }[]> {
  return ask<{ name: string; also: string[] }>(
    client,
    `select c.oid::regclass::text as name,
       array[c.relname::text, format('%s.%s', n.nspname, c.relname), format('%I.%I', n.nspname, c.relname)] as also
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p') and c.relpersistence = 'p' and n.nspname !~ '^pg_'
       and n.nspname not in ('information_schema', 'listenql')
     order by 1 limit 10000`,
  )
}

/** The watched tables, as `tableNames`. */
export async function watchedNames(client: ClientBase): Promise<{ name: string; also: string[] }[]> {
  return ask<{ name: string; also: string[] }>(
    client,
    `select relid::regclass::text as name, array[table_name, format('%s.%s', schema_name, table_name)] as also
     from listenql.watched order by 1`,
  )
}

/**
 * Watches a table, and lets its history begin at once, with or without a running server.
 * @throws ListenqlError DATABASE_FAILED if it cannot be watched, a right is missing, or other sessions hold its lock for too long
 */
export async function watchTable(
  client: ClientBase,
  relid: string,
  { always, ...patience }: { readonly always: boolean } & Patience,
): Promise<WatchOutcome> {
  try {
    const before = await stateOf(client, relid)
    await withLocks(
      client,
      () => client.query('select listenql.watch($1::oid::regclass, $2)', [relid, always]),
      patience,
    )
    const lacking = await beginHistory(client, relid)
    const now = await stateOf(client, relid)
    if (!now) throw new ListenqlError('DATABASE_FAILED', 'another session has just unwatched it')
    return { before, now, lacking }
  } catch (error) {
    throw await explain(client, error)
  }
}

/** How a table was unwatched: completely, or with triggers that remain and do nothing. */
export type UnwatchOutcome =
  | { readonly kind: 'removed' }
  | { readonly kind: 'not watched' }
  /** `ddl` are the statements with which the table's owner removes the triggers. */
  | { readonly kind: 'silenced'; readonly reason: string; readonly ddl: readonly string[] }

/**
 * Stops watching a table. If its triggers cannot be dropped, they are changed to log nothing.
 * @throws ListenqlError DATABASE_FAILED if it belongs to a table that is watched, or a right is missing
 */
export async function unwatchTable(
  client: ClientBase,
  relid: string,
  patience: Patience,
): Promise<UnwatchOutcome> {
  try {
    await withLocks(
      client,
      () => client.query('select listenql.unwatch($1::oid::regclass)', [relid]),
      patience,
    )
    return { kind: 'removed' }
  } catch (error) {
    if (hasSqlState(error, SQL_STATE.watchRefused)) {
      if (error instanceof Error && !('hint' in error && error.hint)) return { kind: 'not watched' }
      throw await explain(client, error)
    }
    const ddl = await silence(client, relid)
    if (!ddl) throw await explain(client, error)
    return { kind: 'silenced', reason: messageOf(error), ddl }
  }
}

async function silence(client: ClientBase, relid: string): Promise<readonly string[] | undefined> {
  try {
    return await inTransaction(client, async () => {
      await client.query(`set local lock_timeout = '2s'`)
      const { rows } = await client.query<{ ddl: string }>(
        'select listenql.silence($1::oid::regclass) as ddl',
        [relid],
      )
      return rows.map(({ ddl }) => ddl)
    })
  } catch {
    return undefined // the first error says more
  }
}

async function stateOf(client: ClientBase, relid: string): Promise<WatchState | undefined> {
  const rows = await ask<WatchState>(
    client,
    'select generation, always, since, key_columns as key from listenql.watched where relid = $1::oid',
    [relid],
  )
  return rows[0]
}

/** @returns what is missing for a complete history */
async function beginHistory(client: ClientBase, relid: string): Promise<string | undefined> {
  // It detects a log that was restored from a dump, whose batches are invalid here.
  await inTransaction(client, () => client.query('select listenql.newest()'))
  for (const deadline = performance.now() + REFRESH_TIMEOUT_MS; ; ) {
    // In a transaction of its own: other sessions that read the log wait until it is committed.
    const changes = await inTransaction(client, async () => {
      const { rows } = await client.query<{ relid: string; change: string; detail: string }>(
        'select relid::text as relid, change, detail from listenql.refresh()',
      )
      return rows
    })
    const lacking = changes.find(row => row.relid === relid && row.change === 'lacking')
    if (lacking) return lacking.detail
    const now = await stateOf(client, relid)
    if (!now || now.since) return undefined
    // Another process has locked the row of this table, and begins the history.
    if (performance.now() > deadline) return 'its history has not begun yet: a running server will begin it'
    await delay(100, new AbortController().signal)
  }
}

async function explain(client: ClientBase, error: unknown): Promise<unknown> {
  const state = sqlState(error)
  const text = messageOf(error).replace(/^listenql: /, '')
  const hint =
    error instanceof Error && 'hint' in error && typeof error.hint === 'string' ? error.hint : undefined
  if (state === SQL_STATE.watchRefused) {
    return new ListenqlError('DATABASE_FAILED', text, { ...(hint !== undefined && { hint }), cause: error })
  }
  if (state === SQL_STATE.insufficientPrivilege) {
    return new ListenqlError('DATABASE_FAILED', text, { hint: await rightsHint(client), cause: error })
  }
  if (error instanceof ListenqlError || state === undefined) return error
  return new ListenqlError('DATABASE_FAILED', text, { hint: hint ?? `SQLSTATE ${state}`, cause: error })
}

/** The rights on schema `listenql` with which a login can watch its own tables. */
export function watcherGrants(role: string): string {
  const functions = [
    'watch(regclass, boolean)',
    'enroll(regclass, boolean, text)',
    'create_triggers(oid, boolean)',
  ]
  return [
    `grant usage on schema listenql to ${role};`,
    `grant select on listenql.watched to ${role};`,
    ...[
      ...functions,
      'unwatch(regclass)',
      'silence(regclass)',
      'newest()',
      'refresh(oid, integer)',
      'status()',
    ].map(signature => `grant execute on function listenql.${signature} to ${role};`),
  ].join('\n')
}

async function rightsHint(client: ClientBase): Promise<string> {
  const rows = await ask<{ owner: string; me: string; isOwner: boolean }>(
    client,
    `select nspowner::regrole::text as owner, quote_ident(current_user) as me,
       pg_has_role(nspowner, 'usage') as "isOwner" from pg_namespace where nspname = 'listenql'`,
  ).catch(() => [])
  const [row] = rows
  if (!row) return 'it needs a role that may create schemas in this database'
  if (row.isOwner) return `it needs the right TRIGGER on the table, which its owner may grant to ${row.me}`
  return `it needs a role with the right TRIGGER on the table, and rights on schema listenql, which its owner (${row.owner}) may grant:\n${watcherGrants(row.me)}`
}
