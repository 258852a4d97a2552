import type { Queryable } from './queryable.js'
import { isEncodingError } from './sql-state.js'
import type { TypeCategory } from './types.js'

/*
 * How the texts of a database arrive whose encoding is not UTF8, or which holds bytes that are no text. Either Postgres converts
 * a result, and refuses it as a whole if one text in it is not valid; or the stored bytes are read and decoded one by one.
 */

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

/** The name of the database's encoding, such as `UTF8`. */
export async function databaseEncoding(client: Queryable): Promise<string> {
  const { rows } = await client.query({
    text: 'select pg_catalog.getdatabaseencoding()::pg_catalog.text as name',
  })
  return rows[0]?.name ?? ''
}

export async function textEncoding(client: Queryable): Promise<TextEncoding> {
  const name = await databaseEncoding(client)
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

/** SQL for the stored bytes of a text. The target encoding is that of the database, so Postgres neither converts nor validates them. */
export const bytesSql = (text: string) => `pg_catalog.convert_to(${text}, pg_catalog.getdatabaseencoding())`

/** Decodes values from the encoding of the database. Undefined: a value is not valid text. */
export type Decode = (bytes: readonly Buffer[]) => Promise<readonly (string | undefined)[]>

/**
 * Decodes values from the encoding of the database, each separately, so that a value that is not valid text does not affect the
 * others. If that encoding is not UTF8, Postgres converts the bytes. SQL_ASCII declares no encoding; its bytes are read as UTF8.
 * @param attempt runs a statement that may fail. Default: runs it directly, outside a transaction
 */
export function createDecode(
  client: Queryable,
  encoding: string,
  attempt: <T>(run: () => Promise<T>) => Promise<T> = run => run(),
): Decode {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  const isUtf8 = encoding === 'UTF8' || encoding === 'SQL_ASCII'

  function decodeUtf8(bytes: Buffer): string | undefined {
    try {
      return decoder.decode(bytes)
    } catch {
      return undefined
    }
  }

  /** Bisects the values if Postgres cannot convert one of them. */
  async function convert(all: readonly Buffer[]): Promise<(string | undefined)[]> {
    if (all.length === 0) return []
    try {
      const { rows } = await attempt(() =>
        client.query({
          text: `select pg_catalog.convert(b, $2::pg_catalog.name, 'UTF8') as utf8
            from pg_catalog.unnest($1::pg_catalog.bytea[]) with ordinality u(b, i) order by i`,
          values: [all, encoding],
        }),
      )
      return (rows as { utf8: Buffer }[]).map(({ utf8 }) => decodeUtf8(utf8))
    } catch (error) {
      if (!isEncodingError(error)) throw error
      if (all.length === 1) return [undefined]
      const middle = all.length >> 1
      return [...(await convert(all.slice(0, middle))), ...(await convert(all.slice(middle)))]
    }
  }

  return async all => {
    if (isUtf8) return all.map(decodeUtf8)
    const isAscii = all.map(bytes => !bytes.some(byte => byte > 0x7f))
    const converted = await convert(all.filter((_, i) => !isAscii[i]))
    return all.map((bytes, i) => (isAscii[i] ? bytes.toString('latin1') : converted.shift()))
  }
}
