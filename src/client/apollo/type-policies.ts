import type { TypePolicies } from '@apollo/client/cache'
import { embeddedTypesOf, type TableKeys, type Tables, tableKeysOf } from '../cache/tables.js'

/** Queries that select different fields of one list, `cursor` and `rows`, or of one aggregate, do not replace each other's. */
const MERGED = { merge: true }

/**
 * Returns the `typePolicies` that tell an InMemoryCache the identity of rows: `keyFields` for tables whose primary key is not `id`, and
 * none for types that are no rows, such as the maxima of an aggregate, whose `id` would look like one.
 *
 * @param tables from `tablesOf`, or primary keys such as `{ People: ['pk'] }`
 */
export function typePoliciesOf(tables: Tables | TableKeys): TypePolicies {
  const policies: TypePolicies = {}
  for (const type of embeddedTypesOf(tables)) policies[type] = { keyFields: false, ...MERGED }
  // `id` is Apollo's default, and written out it would make other ids: People:{"id":1} in place of People:1.
  for (const [type, key] of Object.entries(tableKeysOf(tables)))
    if (key.join() !== 'id') policies[type] = { keyFields: key.length > 0 && [...key] }
  return policies
}
