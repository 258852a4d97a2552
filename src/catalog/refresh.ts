import type { ClientBase } from 'pg'
import { inTransaction } from '../postgres/lock-retry.js'

/** What listenql.refresh() did for one table, or could not do. */
export interface Refreshed {
  readonly relid: string
  /** `schema.table`, or the table alone if it is in schema public. */
  readonly table: string
  /**
   * `generation`: a new one, or its history begins. `again`: dropped and created again. `gone`: dropped. `lacking`: its history
   * is incomplete.
   */
  readonly change: 'again' | 'generation' | 'gone' | 'lacking'
  readonly detail: string
}

/** A generation of a table that was seen in an event of the log. */
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
 * Lets the database compare watched tables with the columns that their triggers were made for. It has a transaction of its own, since
 * other sessions that read the log wait until it ends.
 * @throws DatabaseError lock_not_available, serialization_failure, deadlock_detected if another transaction blocked it
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
