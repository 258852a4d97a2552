import type { Queryable } from '../../src/postgres/queryable.js'

/**
 * Makes watched tables pack the changes of every statement that may be packed, whatever the number of its rows, until the functions
 * of the table are written anew, as after ALTER TABLE. Must run as the owner of schema `listenql`.
 * @returns number of tables: changes of partitioned tables are never packed
 */
export async function packEverything(client: Queryable): Promise<number> {
  const { rows } = await client.query({
    text: `select pg_get_functiondef(oid) as sql from pg_proc
      where pronamespace = 'listenql'::regnamespace and proname ~ '^capture_\\d+$'`,
  })
  let found = 0
  for (const { sql } of rows as { sql: string }[]) {
    const packing = sql
      .replaceAll('operator(pg_catalog.<=) 500', 'operator(pg_catalog.<=) -1')
      .replaceAll('operator(pg_catalog.>) 500', 'operator(pg_catalog.>) -1')
      .replaceAll('offset 16)', 'offset 0)')
    if (packing === sql) continue // a partitioned table
    await client.query({ text: packing })
    found++
  }
  return found
}
