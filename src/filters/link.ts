import pg from 'pg'
import type { Column } from '../postgres/types.js'

/** How rows of one table lead to rows of another one, or of the same: by columns that must be equal. */
export interface Link {
  /** The other table. */
  readonly relid: string
  readonly schema: string
  readonly table: string
  /** Whether the other table is the one that the foreign key references: then the operators have its columns on their left side. */
  readonly isForward: boolean
  readonly pairs: readonly LinkedColumns[]
}

export interface LinkedColumns {
  readonly local: Column
  readonly remote: Column
  /** As SQL: `operator(pg_catalog.=)`. */
  readonly operator: string
  /** The collation by which texts are compared, that of the referenced column, as SQL: `pg_catalog."C"`. Null: the type has none. */
  readonly collation: string | null
}

/** The condition that a row of the other table is linked. @param local and remote are aliases, as SQL */
export function linkSql({ isForward, pairs }: Link, local: string, remote: string): string {
  return pairs
    .map(({ operator, collation, ...columns }) => {
      const here = `${local}.${pg.escapeIdentifier(columns.local.name)}`
      const there = `${remote}.${pg.escapeIdentifier(columns.remote.name)}`
      const collate = collation === null ? '' : ` collate ${collation}`
      return isForward ? `${there}${collate} ${operator} ${here}` : `${here}${collate} ${operator} ${there}`
    })
    .join(' and ')
}
