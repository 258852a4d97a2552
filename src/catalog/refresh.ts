import type { ClientBase } from 'pg'
import { inTransaction } from '../postgres/lock-retry.js'

/** What listenql.refresh() did, or could not do, about one table. */
export interface Refreshed {
  readonly relid: string
  /** `schema.table`, or the table alone if it is in schema public. */
  readonly table: string
  /** `generation`: a new one, or its history begins. `again`: dropped and made again. `gone`: dropped. `lacking`: it is not whole. */
  readonly change: 'again' | 'generation' | 'gone' | 'lacking'
  readonly detail: string
}

/** A generation of a table that an event of the log carried. */
export interface Seen {
  readonly relid: string
  readonly generation: number
}

interface Row {
  readonly relid: string
  readonly schema: string
  readonly name: string
  readonly change: Refreshed['change']
  readonly detail: string | null
}

/**
 * Lets the database compare watched tables with what their triggers were made for. A transaction of its own: others that want
 * to read the log wait until it ends.
 * @throws DatabaseError lock_not_available, serialization_failure, deadlock_detected when another transaction was in the way
 */
export async function refresh(client: ClientBase, seen?: Seen): Promise<readonly Refreshed[]> {
  return await inTransaction(client, async () => {
    const { rows } = await client.query<Row>({
      text: `select relid::pg_catalog.text as "relid", schema_name as "schema", table_name as "name", change as "change", detail as "detail"
        from listenql.refresh($1::pg_catalog.oid, $2::pg_catalog.int4)`,
      values: [seen?.relid ?? null, seen?.generation ?? null],
    })
    return rows.map(({ relid, schema, name, change, detail }) => ({
      relid,
      table: schema === 'public' ? name : `${schema}.${name}`,
      change,
      detail: detail ?? '',
    }))
  })
}
