import type { ClientBase } from 'pg'
import type { TypeCategory } from './types.js'

/** How to read the texts of a database. */
export interface TextEncoding {
  /** Every text that the database can hold exists in UTF8, too. */
  readonly isExact: boolean
  /**
   * SQL for the transaction. In SQL_ASCII the bytes may have any encoding, and Postgres refuses a whole result if one text in it is not
   * UTF8. With this setting it does not check; bytes that are not UTF8 arrive as U+FFFD.
   */
  readonly relax: string
}

/** Encodings whose characters all exist in UTF8, in addition to UTF8 itself. */
const EXACT: ReadonlySet<string> = new Set([
  'UTF8',
  'LATIN1',
  'LATIN2',
  'LATIN4',
  'LATIN5',
  'LATIN6',
  'LATIN7',
  'LATIN8',
  'LATIN9',
  'LATIN10',
  'ISO_8859_5',
  'KOI8R',
  'KOI8U',
  'WIN1256',
  'WIN866',
])

/** Types whose values are ASCII. */
export const NOT_TEXT: ReadonlySet<TypeCategory> = new Set([
  'bool',
  'bytea',
  'date',
  'float4',
  'float8',
  'int2',
  'int4',
  'int8',
  'interval',
  'numeric',
  'time',
  'timestamp',
  'timestamptz',
  'timetz',
  'uuid',
])

export async function textEncoding(client: ClientBase): Promise<TextEncoding> {
  const { rows } = await client.query<{ name: string }>(
    'select pg_catalog.getdatabaseencoding()::pg_catalog.text as name',
  )
  const name = rows[0]?.name ?? ''
  return {
    isExact: EXACT.has(name),
    relax: name === 'SQL_ASCII' ? `set local client_encoding = 'SQL_ASCII'` : '',
  }
}

/** SQL for a session: the same, for a connection that no other part shares. */
export const RELAX_SESSION = `select pg_catalog.set_config('client_encoding', 'SQL_ASCII', false)
  where pg_catalog.getdatabaseencoding() operator(pg_catalog.=) 'SQL_ASCII'`

/** Whether these names are exactly those in the database. */
export function isText(...names: readonly string[]): boolean {
  return !names.some(name => name.includes('\ufffd'))
}
