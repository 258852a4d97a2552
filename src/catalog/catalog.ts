import type { ClientBase, QueryResult } from 'pg'
import { messageOf } from '../lib/errors.js'
import { PIN_VIEWS } from '../postgres/pinned-settings.js'
import { isEncodingError } from '../postgres/sql-state.js'
import { isText, NOT_TEXT, type TextEncoding, textEncoding } from '../postgres/text-encoding.js'
import { classifyType, type PgType, typesQuery } from '../postgres/types.js'
import {
  COLUMNS,
  type ColumnRow,
  RELIDS,
  STATE,
  type StateRow,
  TABLES,
  type TableRow,
  WATCHED,
} from './catalog-query.js'
import { readForeignKeys } from './foreign-keys.js'
import type { TableColumn, WatchedTable } from './watched-table.js'

/** Type names are shown as without a search_path: `public.mood`, for every login. */
const BEGIN = `begin isolation level repeatable read read only; set local search_path = pg_catalog;
  set local quote_all_identifiers = off; set local extra_float_digits = 1; ${PIN_VIEWS}`

/** A watched table or column whose name is not valid UTF8: it cannot be named in GraphQL, and is left out. */
export interface LeftOut {
  readonly relid: string
  readonly what: 'table' | 'column'
  /** The name with U+FFFD in it, or the message of Postgres. */
  readonly detail: string
}

/**
 * The watched tables with a complete history, as they are at one moment, ordered by schema and name. Needs a connection outside a
 * transaction, and the rights of `grantSql`.
 * @param onLeftOut called for watched tables and columns that are left out
 * @throws DatabaseError invalid_schema_name or undefined_table if there is no schema `listenql`, insufficient_privilege if the
 * login lacks a right
 */
export async function readCatalog(
  client: ClientBase,
  onLeftOut: (leftOut: LeftOut) => void = () => undefined,
): Promise<readonly WatchedTable[]> {
  const encoding = await textEncoding(client)
  try {
    return await readTables(client, encoding, undefined, onLeftOut)
  } catch (error) {
    if (!isEncodingError(error)) throw error
  }
  const rows = await readRelids(client, RELIDS)
  const tables: WatchedTable[] = []
  const watched = rows.map(({ relid }) => relid)
  for (const relid of watched) {
    try {
      tables.push(...(await readTables(client, encoding, { relid, watched }, onLeftOut)))
    } catch (error) {
      if (!isEncodingError(error)) throw error
      onLeftOut({ relid, what: 'table', detail: messageOf(error) })
    }
  }
  return tables
}

/** @param one the oid of one table, and those of all watched tables. Undefined: reads all */
async function readTables(
  client: ClientBase,
  encoding: TextEncoding,
  one: { readonly relid: string; readonly watched: readonly string[] } | undefined,
  onLeftOut: (leftOut: LeftOut) => void,
): Promise<readonly WatchedTable[]> {
  await client.query(`${BEGIN}; ${encoding.relax}`)
  try {
    const { rows } = await client.query<TableRow>(TABLES, [one?.relid ?? null])
    const tables = rows.filter(({ relid, schema, name }) => {
      if (isText(schema, name)) return true
      onLeftOut({ relid, what: 'table', detail: `${schema}.${name}` })
      return false
    })
    const relids = tables.map(({ relid }) => relid)
    const columns = await readColumns(client, relids, encoding, onLeftOut)
    const foreignKeys = await readForeignKeys(client, relids, one?.watched ?? relids)
    await client.query('commit')
    return tables.map(({ sinceN, sinceToken, columnFrom, key, ...table }) => ({
      ...table,
      ...(columnFrom && Object.keys(columnFrom).length > 0 && { columnFrom }),
      key: isText(...key) ? key : [], // a part of a key does not identify a row
      columns: columns.get(table.relid) ?? [],
      ...(foreignKeys.has(table.relid) && { foreignKeys: foreignKeys.get(table.relid) }),
      since: { n: Number(sinceN), token: Number(sinceToken) },
    }))
  } catch (error) {
    await client.query('rollback').catch(() => undefined)
    throw error
  }
}

/**
 * The oids of watched tables without a complete history: those that are not in `whole`, the result of the preceding `readCatalog`. A
 * table whose history has begun since then counts, too. Has the same requirements as `readCatalog`.
 */
export async function readPaused(
  client: ClientBase,
  whole: readonly Pick<WatchedTable, 'relid'>[],
): Promise<readonly string[]> {
  const rows = await readRelids(client, WATCHED)
  const known = new Set(whole.map(({ relid }) => relid))
  return rows.map(({ relid }) => relid).filter(relid => !known.has(relid))
}

/** Two statements in one query are one transaction, and have a result each. */
async function readRelids(client: ClientBase, sql: string): Promise<readonly { relid: string }[]> {
  const results: unknown = await client.query(`${PIN_VIEWS}; ${sql}`)
  return (results as readonly QueryResult<{ relid: string }>[])[1]?.rows ?? []
}

/**
 * Checks cheaply whether a read is necessary: while the digest is the same, so is the result of `readCatalog` (except for changed
 * columns that no refresh has noticed yet), and while the pulse is, `refresh` finds nothing. In one round trip, on a connection
 * outside a transaction.
 */
export async function readCatalogState(client: ClientBase): Promise<StateRow> {
  try {
    const results: unknown = await client.query(
      `begin isolation level read committed read only; set local search_path = pg_catalog, pg_temp; ${PIN_VIEWS}; ${STATE}; commit`,
    )
    return (results as readonly QueryResult<StateRow>[])[3]?.rows[0] as StateRow
  } catch (error) {
    await client.query('rollback').catch(() => undefined)
    throw error
  }
}

async function readColumns(
  client: ClientBase,
  relids: readonly string[],
  { isExact }: TextEncoding,
  onLeftOut: (leftOut: LeftOut) => void,
): Promise<ReadonlyMap<string, readonly TableColumn[]>> {
  const byTable = new Map<string, TableColumn[]>()
  if (relids.length === 0) return byTable
  const columns = await client.query<ColumnRow>(COLUMNS, [relids])
  const oids = [...new Set(columns.rows.map(({ typeOid }) => typeOid))]
  const found = await client.query<PgType>(typesQuery, [oids])
  const types = new Map(found.rows.map(type => [type.oid, type]))
  for (const { relid, ...column } of columns.rows) {
    const list = byTable.get(relid) ?? []
    byTable.set(relid, list)
    if (!isText(column.name)) {
      onLeftOut({ relid, what: 'column', detail: column.name })
      continue
    }
    const type = classifyType(column.typeOid, types)
    // A value that is not valid text is null, with an error.
    list.push({ ...column, ...type, notNull: column.notNull && (isExact || NOT_TEXT.has(type.category)) })
  }
  return byTable
}
