import type { Cache } from '@urql/exchange-graphcache'
import type { LiveTables, Outdated } from '../cache/live-tables.js'
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

/** Invalidates what depends on the tables. graphcache reads again what is shown; the rest is read once it is shown. */
export function invalidate(
  cache: Cache,
  tables: Tables,
  { tables: outdated, lost }: Outdated,
  { seen }: Pick<LiveTables, 'seen'>,
): void {
  const fields = new Set(fieldsShowing(tables, ({ type }) => outdated.has(type)))
  for (const type of outdated) for (const field of seen.filteredBy(type)) fields.add(field)
  /** graphcache does not list the rows of a type. */
  const whole = new Set(lost)
  for (const field of fields) {
    const [holder = '', name] = field.split('.')
    if (holder !== tables.query) {
      if (seen.fields.has(field)) whole.add(holder)
      continue
    }
    for (const { fieldName, arguments: args } of cache.inspectFields(tables.query))
      if (fieldName === name) cache.invalidate(tables.query, fieldName, args)
  }
  for (const type of whole) cache.invalidate(type)
}
