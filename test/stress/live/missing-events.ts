import type { Query } from '../database.js'

/**
 * Transactions that have changed a table of which the log has no event, by the tables' own triggers. To be called while nothing writes.
 * @returns a description of each
 */
export async function missingEvents(query: Query): Promise<string[]> {
  const rows = await query<{ xid: string; name: string; rows: string }>(
    `select a.xid::text, a.name, count(*)::text as rows from audit a
     where a.old::text is distinct from a.new::text and a.xid >= (select min(e.xid::text::bigint) from listenql.event e)::text::xid8
       and not exists (select from listenql.event e where e.xid = a.xid and e.kind = 't' and e.topic = a.name::regclass::oid::text)
     group by a.xid, a.name order by a.xid limit 10`,
  )
  return rows.map(
    ({ xid, name, rows: count }) =>
      `transaction ${xid} has changed ${count} rows of ${name}, and the log has no event of them`,
  )
}
