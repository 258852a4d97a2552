import type { KeyingConfig } from '@urql/exchange-graphcache'
import { embeddedTypesOf, type TableKeys, type Tables, tableKeysOf } from '../cache/tables.js'

/**
 * Returns the `keys` that tell graphcache the identity of rows: of tables whose primary key is not `id`, and none for types that are no
 * rows, such as the maxima of an aggregate, whose `id` would look like one.
 *
 * @param tables from `tablesOf`, or primary keys such as `{ People: ['pk'] }`
 */
export function keysOf(tables: Tables | TableKeys): KeyingConfig {
  const keys: KeyingConfig = {}
  for (const type of embeddedTypesOf(tables)) keys[type] = () => null
  for (const [type, columns] of Object.entries(tableKeysOf(tables)))
    if (columns.join() !== 'id') keys[type] = row => keyOf(columns.map(column => row[column]))
  return keys
}

/** @returns null if a part is missing, so that the row is not normalised */
function keyOf(parts: readonly unknown[]): string | null {
  if (parts.length === 0 || parts.some(part => part === undefined || part === null)) return null
  return parts.length === 1 ? String(parts[0]) : JSON.stringify(parts)
}
