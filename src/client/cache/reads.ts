import type { RowChange } from './row-changes.js'

/** Which changes of a table decide about the rows that are shown: all, or besides INSERT and DELETE those of some columns. */
export type Deciding = 'all' | ReadonlySet<string>

/** What one or several operations show of the watched tables. */
export interface Reads {
  /** The types of the rows whose changes matter. */
  readonly types: ReadonlySet<string>
  /** The fields that show rows, such as `Query.people` and `People.visits`. */
  readonly fields: ReadonlySet<string>
  /** Returns the columns of a table that decide about the rows that are shown. */
  decidingOf(type: string): Deciding | undefined
  /** Whether a change may add, remove or move rows, or change something that it does not deliver. */
  isDecidedBy(type: string, change: RowChange): boolean
  /** Returns the fields whose rows depend on a table by a condition in `where`. */
  filteredBy(type: string): ReadonlySet<string>
  shows(type: string, field: string): void
  decides(type: string, column: string): void
  decidesAll(type: string): void
  filters(type: string, field: string): void
  /** Adds other reads to these. */
  add(other: Reads): void
}

/** Returns reads of nothing. */
export function createReads(): Reads {
  const fields = new Set<string>()
  const deciding = new Map<string, 'all' | Set<string>>()
  const filtered = new Map<string, Set<string>>()
  const types = new Set<string>()
  const of = (type: string): 'all' | Set<string> => {
    const known = deciding.get(type) ?? new Set<string>()
    deciding.set(type, known)
    types.add(type)
    return known
  }
  const reads: Reads = {
    types,
    fields,
    decidingOf: type => deciding.get(type),
    isDecidedBy(type, { operation, row, old }) {
      const columns = deciding.get(type)
      if (!columns) return false
      // A row that the viewer sees only before or only after its change comes or goes.
      if (operation !== 'UPDATE' || !row || !old || columns === 'all') return true
      return [...columns].some(name => JSON.stringify(row[name]) !== JSON.stringify(old[name]))
    },
    filteredBy: type => filtered.get(type) ?? new Set(),
    shows(type, field) {
      of(type)
      fields.add(field)
    },
    decides(type, column) {
      const known = of(type)
      if (known !== 'all') known.add(column)
    },
    decidesAll(type) {
      of(type)
      deciding.set(type, 'all')
    },
    filters(type, field) {
      of(type)
      fields.add(field)
      filtered.set(type, (filtered.get(type) ?? new Set()).add(field))
    },
    add(other) {
      for (const field of other.fields) fields.add(field)
      for (const type of other.types) {
        const columns = other.decidingOf(type)
        of(type) // also where no column decides: rows come and go
        if (columns === 'all') reads.decidesAll(type)
        else for (const column of columns ?? []) reads.decides(type, column)
        for (const field of other.filteredBy(type)) reads.filters(type, field)
      }
    },
  }
  return reads
}
