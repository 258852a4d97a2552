import type { Decode } from '../filters/index.js'
import type { Queryable } from '../postgres/queryable.js'
import { isEncodingError } from '../postgres/sql-state.js'

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
