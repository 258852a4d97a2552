import type { ClientBase } from 'pg'
import { ask } from '../postgres/lock-retry.js'
import { hasSqlState, SQL_STATE, SQL_STATE_CLASS } from '../postgres/sql-state.js'
import { explainWatchError } from './watch-errors.js'

/** The table that a name refers to. */
export interface FoundTable {
  readonly relid: string
  /** As SQL, with its schema where necessary: `people`, `chat."Mixed Case"`. */
  readonly shown: string
  readonly schema: string
  readonly table: string
}

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
    throw await explainWatchError(client, error)
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
