import type { ClientBase, QueryResult } from 'pg'
import { messageOf } from '../lib/errors.js'
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
import type { TableColumn, WatchedTable } from './watched-table.js'

/** Names of types are shown as they are known without a search_path: `public.mood`, whoever asks. */
const BEGIN = `begin isolation level repeatable read read only; set local search_path = pg_catalog;
  set local quote_all_identifiers = off; set local extra_float_digits = 1`

/** Something of a watched table whose name is no text in UTF8: it cannot be named in GraphQL, and is left out. */
export interface LeftOut {
  readonly relid: string
  readonly what: 'table' | 'column'
  /** With U+FFFD in it; or what Postgres says. */
  readonly detail: string
}

/**
 * The watched tables whose history is whole, as they are at one moment, ordered by schema and name. Needs a connection that is
 * in no transaction, and what `grantSql` gives.
 * @param onLeftOut told of what is not among them although it is watched
 * @throws DatabaseError invalid_schema_name or undefined_table if there is no schema `listenql`, insufficient_privilege if our
 * login may not look
 */
export async function readCatalog(
  client: ClientBase,
  onLeftOut: (leftOut: LeftOut) => void = () => undefined,
): Promise<readonly WatchedTable[]> {
  const encoding = await textEncoding(client)
  try {
    return await readTables(client, encoding, null, onLeftOut)
  } catch (error) {
    if (!isEncodingError(error)) throw error
  }
  const { rows } = await client.query<{ relid: string }>(RELIDS)
  const tables: WatchedTable[] = []
  for (const { relid } of rows) {
    try {
      tables.push(...(await readTables(client, encoding, relid, onLeftOut)))
    } catch (error) {
      if (!isEncodingError(error)) throw error
      onLeftOut({ relid, what: 'table', detail: messageOf(error) })
    }
  }
  return tables
}

/** @param relid of one table; null: all */
async function readTables(
  client: ClientBase,
  encoding: TextEncoding,
  relid: string | null,
  onLeftOut: (leftOut: LeftOut) => void,
): Promise<readonly WatchedTable[]> {
  await client.query(`${BEGIN}; ${encoding.relax}`)
  try {
    const { rows } = await client.query<TableRow>(TABLES, [relid])
    const tables = rows.filter(({ relid, schema, name }) => {
      if (isText(schema, name)) return true
      onLeftOut({ relid, what: 'table', detail: `${schema}.${name}` })
      return false
    })
    const columns = await readColumns(
      client,
      tables.map(({ relid }) => relid),
      encoding,
      onLeftOut,
    )
    await client.query('commit')
    return tables.map(({ sinceN, sinceToken, columnFrom, key, ...table }) => ({
      ...table,
      ...(columnFrom && Object.keys(columnFrom).length > 0 && { columnFrom }),
      key: isText(...key) ? key : [], // a part of a key tells no row from others
      columns: columns.get(table.relid) ?? [],
      since: { n: Number(sinceN), token: Number(sinceToken) },
    }))
  } catch (error) {
    await client.query('rollback').catch(() => undefined)
    throw error
  }
}

/**
 * The oids of watched tables that have no whole history: those that are not in `whole`, what `readCatalog` gave just before. One
 * whose history has begun since counts: it had none then. Needs what `readCatalog` needs.
 */
export async function readPaused(
  client: ClientBase,
  whole: readonly Pick<WatchedTable, 'relid'>[],
): Promise<readonly string[]> {
  const { rows } = await client.query<{ relid: string }>(WATCHED)
  const known = new Set(whole.map(({ relid }) => relid))
  return rows.map(({ relid }) => relid).filter(relid => !known.has(relid))
}

/**
 * Tells cheaply whether another look is worth it: while the digest is the same, so is `readCatalog` (but for columns whose
 * change nobody has noticed yet), and while the pulse is, `refresh` finds nothing. In one round trip, on a connection that is
 * in no transaction.
 */
export async function readCatalogState(client: ClientBase): Promise<StateRow> {
  try {
    const results: unknown = await client.query(
      `begin isolation level read committed read only; set local search_path = pg_catalog, pg_temp; ${STATE}; commit`,
    )
    return (results as readonly QueryResult<StateRow>[])[2]?.rows[0] as StateRow
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
    // A value that is no text is null, with an error.
    list.push({ ...column, ...type, notNull: column.notNull && (isExact || NOT_TEXT.has(type.category)) })
  }
  return byTable
}
