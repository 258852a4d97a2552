// Policies of watched tables that live queries could not follow, found before a viewer meets them.
import type { QueryResultRow } from 'pg'
import type { ListenqlError } from '../../lib/errors.js'
import { policyNotFollowed, policyNotWatched } from '../access-errors.js'
import { policyReadsOf } from './policy-reads.js'
import { POLICY_READS } from './policy-reads-sql.js'

/** Runs a query of the catalogue. */
type Ask = <Row extends QueryResultRow>(text: string, values?: unknown[]) => Promise<readonly Row[]>

interface Watched extends QueryResultRow {
  readonly relid: string
  readonly schema: string
  readonly name: string
  /** Roles that may read the table, and to which its policies may apply. */
  readonly roles: readonly string[]
}

/** Most roles that are looked at for one table: where each person has a role of their own, the policies are mostly the same for all. */
const MAX_ROLES = 20

const WATCHED = `
select w.relid::pg_catalog.text as "relid", w.schema_name as "schema", w.table_name as "name", array(
    select r.rolname::pg_catalog.text from pg_catalog.pg_roles r
    where c.relrowsecurity and exists (select from pg_catalog.pg_policy p where p.polrelid = c.oid)
      and not r.rolsuper and not r.rolbypassrls and r.oid >= 16384 and pg_catalog.has_any_column_privilege(r.oid, c.oid, 'SELECT')
    order by r.rolname limit ${MAX_ROLES}) as "roles"
from listenql.watched w join pg_catalog.pg_class c on c.oid = w.relid order by w.schema_name, w.table_name`

/**
 * @returns for each policy of a watched table that a live query of some role could not follow the error that it would get
 *   (POLICY_NOT_WATCHED), each message once
 * @throws the errors of Postgres
 */
export async function findUnfollowedPolicies(ask: Ask): Promise<ListenqlError[]> {
  const watched = await ask<Watched>(WATCHED)
  const pairs = watched.flatMap(table => table.roles.map(role => ({ table, role })))
  if (pairs.length === 0) return []
  const isWatched = new Set(watched.map(({ relid }) => relid))
  const found = await ask<{ i: number; reads: string }>(POLICY_READS, [
    pairs.map(({ table }) => table.relid),
    pairs.map(({ role }) => role),
  ])
  const errors = new Map<string, ListenqlError>()
  for (const { i, reads } of found) {
    const table = (pairs[i - 1] as (typeof pairs)[number]).table
    const { tables, unknown } = policyReadsOf(table.relid, reads)
    const unwatched = tables.filter(({ relid, above }) => ![relid, ...above].some(one => isWatched.has(one)))
    for (const error of [
      ...unwatched.map(other => policyNotWatched(table, other.policy, other)),
      ...unknown.map(one => policyNotFollowed(table, one)),
    ])
      if (!errors.has(error.message)) errors.set(error.message, error)
  }
  return [...errors.values()]
}
