import type { Link, LinkedColumns, RowImage } from '../filters/index.js'
import type { Column, TypeCategory } from '../postgres/types.js'

/**
 * The values by which a row is linked, as one text that is equal for equal values: 1 and 1.00. For exact links only.
 * Undefined: one is NULL.
 */
export function remoteKey({ pairs }: Link, row: RowImage): string | undefined {
  return keyOf(
    pairs.map(({ remote }) => remote.name),
    row,
  )
}

/** The values by which a row leads to others, in the same form. */
export function localKey({ pairs }: Link, row: RowImage): string | undefined {
  return keyOf(
    pairs.map(({ local }) => local.name),
    row,
  )
}

function keyOf(columns: readonly string[], row: RowImage): string | undefined {
  let key = ''
  for (const column of columns) {
    const value = row.key(column)
    if (value === null) return undefined
    key += `${String(value).length}:${String(value)}`
  }
  return key
}

/** Whether two values are equal in Postgres, by the operators of the link, if and only if their keys are. */
export function isExact({ pairs }: Link): boolean {
  return pairs.every(isExactPair)
}

/** Types whose equality in Postgres depends on more than the server knows. */
const INEXACT: ReadonlySet<TypeCategory> = new Set(['citext', 'composite', 'json', 'other'])

/** Types of which values of one equal values of another if and only if their keys do. */
const FAMILIES: Partial<Record<TypeCategory, string>> = {
  int2: 'exact number', int4: 'exact number', int8: 'exact number', numeric: 'exact number',
  float4: 'float', float8: 'float',
} // biome-ignore format: a table

/** Of other types Postgres converts one value first, and may lose digits, spaces or the time zone. */
function isExactPair({ local, remote, operator, collation }: LinkedColumns): boolean {
  return (
    !isOpaque(local) &&
    !isOpaque(remote) &&
    familyOf(local) === familyOf(remote) &&
    operator.startsWith('operator(pg_catalog.') &&
    // Under a collation of a user's own, different texts may be equal; those of Postgres are deterministic.
    (collation === null || collation.startsWith('pg_catalog.'))
  )
}

function isOpaque({ category, isArray }: Column): boolean {
  return isArray || INEXACT.has(category)
}

function familyOf({ category }: Column): string {
  return FAMILIES[category] ?? category
}
