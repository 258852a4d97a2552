import pg from 'pg'
import { mendPlanRow } from '../plan/plan-result.js'
import type { PlanSql } from '../plan/plan-sql.js'
import { bytesSql, createDecode, databaseEncoding } from '../postgres/text-encoding.js'

/** Finds the name under which a statement stays prepared. Undefined: it does not. */
export type NameOf = (text: string) => string | undefined

/**
 * Reads the images that a query returns, in the transaction of the client. Images beyond `maxBytes` are dropped as they arrive, so
 * that no query fills the memory.
 * @returns undefined: they have more than `maxBytes`
 * @throws the error of Postgres
 */
export type ReadImages = (
  client: pg.Client,
  sql: PlanSql,
  maxBytes: number,
  nameOf: NameOf,
) => Promise<readonly string[] | undefined>

/** The longest string in JavaScript has 512 MiB. */
const MAX_TEXT_BYTES = 256 * 2 ** 20

/** As texts. Postgres refuses the whole result if one value in it is not valid UTF8. */
export const readTexts: ReadImages = (client, sql, maxBytes, nameOf) =>
  readColumn<string>(client, sql, 'image', maxBytes, Buffer.byteLength, nameOf)

/** As bytes, which are then decoded value by value: those that are not valid text are named in the image. */
export const readMended: ReadImages = async (client, sql, maxBytes) => {
  const images = await readColumn<Buffer>(client, sql, bytesSql('image'), maxBytes, image => image.length)
  if (!images) return undefined
  const decode = createDecode(client, await databaseEncoding(client), attempt => inSavepoint(client, attempt))
  const mended: string[] = []
  for (const image of images) mended.push(await mendPlanRow(image, decode))
  return mended
}

/**
 * A query for images, of which Postgres leaves out those that exceed `maxBytes` by themselves: then it returns NULL.
 * @param column SQL for what is read of each `image`. Default: the image
 */
export function limitedSql({ text, values }: PlanSql, maxBytes: number, column = 'image'): PlanSql {
  const most = `$${values.length + 1}::pg_catalog.int8`
  return {
    text: `select case when pg_catalog.octet_length(image) operator(pg_catalog.<=) ${most} then ${column} end as image from (${text}) q(image)`,
    values: [...values, Math.min(maxBytes, MAX_TEXT_BYTES)],
  }
}

/** @param column as in `limitedSql` */
function readColumn<Value>(
  client: pg.Client,
  sql: PlanSql,
  column: string,
  maxBytes: number,
  sizeOf: (value: Value) => number,
  nameOf: NameOf = () => undefined,
): Promise<Value[] | undefined> {
  const { text, values } = limitedSql(sql, maxBytes, column)
  const config: pg.QueryArrayConfig = { name: nameOf(text), text, values, rowMode: 'array' }
  return new Promise((resolve, reject) => {
    let found: Value[] | undefined = []
    let bytes = 0
    const query = client.query(new pg.Query(config))
    query.on('row', row => {
      const [value] = row as unknown as [Value | null]
      bytes += value === null ? Number.POSITIVE_INFINITY : sizeOf(value)
      if (bytes > maxBytes) found = undefined
      else if (value !== null) found?.push(value)
    })
    query.on('end', () => resolve(found))
    query.on('error', reject)
  })
}

/** Runs a statement that may fail, in a transaction that continues. */
async function inSavepoint<T>(client: pg.Client, run: () => Promise<T>): Promise<T> {
  await client.query('savepoint listenql_text')
  try {
    return await run()
  } catch (error) {
    await client.query('rollback to savepoint listenql_text')
    throw error
  }
}
