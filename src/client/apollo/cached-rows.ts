import type { ApolloCache } from '@apollo/client/cache'
import type { DocumentNode } from 'graphql'
import type { Reads } from '../cache/reads.js'
import type { Row, RowChanges } from '../cache/row-changes.js'
import { rowFragment } from '../cache/row-fragment.js'
import { fieldsShowing, type Table, type Tables } from '../cache/tables.js'

/** The rows in a cache, below optimistic updates. */
export interface CachedRows {
  /** Writes changed rows that are in the cache, and removes deleted ones, as one batch. Lists in the cache skip rows that it lacks. */
  write(cache: ApolloCache, changes: readonly RowChanges[]): void
}

/** @param seen what the queries so far have read */
export function createCachedRows(tables: Tables, seen: () => Reads): CachedRows {
  const fragments = new Map<string, { readonly key: DocumentNode; readonly row: DocumentNode }>()
  function fragmentsOf(type: string, { key, columns }: Table) {
    const known = fragments.get(type) ?? { key: rowFragment(type, key), row: rowFragment(type, columns) }
    fragments.set(type, known)
    return known
  }
  /**
   * A row to which another row links stays until the queries are read again: the change of the other row arrives separately, and until
   * then Apollo Client would take the missing row for an incomplete result, and show that it loads.
   */
  function mayEvict(type: string): boolean {
    const { fields } = seen()
    return !fieldsShowing(tables, field => field.shows === 'row' && field.type === type).some(f =>
      fields.has(f),
    )
  }
  function writeOne(cache: ApolloCache, type: string, key: Row | null | undefined, row: Row | null): void {
    const table = tables.rows[type]
    if (!table || !key) return
    const object = { __typename: type, ...key }
    const id = cache.identify(object)
    if (id === undefined) return
    if (!row) return mayEvict(type) ? void cache.evict({ id, broadcast: false }) : undefined
    const { key: keyFragment, row: rowFragment } = fragmentsOf(type, table)
    if (!cache.readFragment({ id, fragment: keyFragment, optimistic: false })) return
    cache.writeFragment({ id, fragment: rowFragment, data: { ...object, ...row }, broadcast: false })
  }
  return {
    write(cache, changes) {
      cache.batch({
        optimistic: false,
        update(root) {
          for (const { type, changes: ofType } of changes)
            for (const { operation, key, row } of ofType)
              if (operation !== 'TRUNCATE') writeOne(root, type, key, row)
              else if (mayEvict(type)) evictAll(root, type)
        },
      })
    },
  }
}

/** Removes all rows of a table. */
export function evictAll(cache: ApolloCache, type: string): void {
  for (const id of idsOf(cache, type)) cache.evict({ id, broadcast: false })
}

/** Returns the ids of the objects of a type. */
export function idsOf(cache: ApolloCache, type: string): string[] {
  return Object.entries(cache.extract(false) as Record<string, { readonly __typename?: string } | undefined>)
    .filter(([, object]) => object?.__typename === type)
    .map(([id]) => id)
}
