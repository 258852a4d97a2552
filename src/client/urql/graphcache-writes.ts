import type { Cache } from '@urql/exchange-graphcache'
import type { Outdated } from '../cache/live-tables.js'
import type { Reads } from '../cache/reads.js'
import type { RowChanges } from '../cache/row-changes.js'
import { rowFragment } from '../cache/row-fragment.js'
import { fieldsShowing, type Tables } from '../cache/tables.js'

type Fragment = Parameters<Cache['writeFragment']>[0]

/**
 * Writes changed rows that the cache has. A deleted row stays until its lists are read again: without it, graphcache would take them
 * for incomplete.
 */
export function writeRows(cache: Cache, tables: Tables, changes: readonly RowChanges[]): void {
  for (const { type, changes: ofType } of changes) {
    const { columns = [] } = tables.rows[type] ?? {}
    for (const { key, row } of ofType) {
      if (!key || !row || !cache.resolve({ __typename: type, ...key }, '__typename')) continue
      cache.writeFragment(rowFragment(type, columns) as Fragment, { __typename: type, ...row })
    }
  }
}

/** What has to be invalidated. */
export interface Invalid {
  /** Fields of Query, such as `people`. */
  readonly roots: ReadonlySet<string>
  /** Types of rows, all of them with all fields: graphcache does not list the rows in whose links something changed. */
  readonly types: ReadonlySet<string>
}

/** Finds what depends on tables. */
export function invalidBy(tables: Tables, { tables: outdated, lost }: Outdated, seen: Reads): Invalid {
  const fields = new Set(fieldsShowing(tables, ({ type }) => outdated.has(type)))
  for (const type of outdated) for (const field of seen.filteredBy(type)) fields.add(field)
  const roots = new Set<string>()
  const types = new Set(lost)
  for (const field of fields) {
    const [holder = '', name = ''] = field.split('.')
    if (holder === tables.query) roots.add(name)
    else if (seen.fields.has(field)) types.add(holder)
  }
  return { roots, types }
}

/** Whether an operation shows something of it. */
export function isShownBy({ types, fields }: Reads, tables: Tables, invalid: Invalid): boolean {
  if ([...types].some(type => invalid.types.has(type))) return true
  return [...invalid.roots].some(name => fields.has(`${tables.query}.${name}`))
}

/** Invalidates it. graphcache reads again what is shown; the rest is read once it is shown. */
export function invalidate(cache: Cache, tables: Tables, { roots, types }: Invalid): void {
  for (const { fieldName, arguments: args } of cache.inspectFields(tables.query))
    if (roots.has(fieldName)) cache.invalidate(tables.query, fieldName, args)
  for (const type of types) cache.invalidate(type)
}
