/** What differs between two lists of rows. */
export interface Differences {
  readonly added: ReadonlySet<string>
  readonly changed: number
  readonly removed: number
}

/**
 * Compares lists of rows, of which equal ones are the same objects, as the stores of listenql/client keep them.
 * @returns undefined for the first list, and for one that shows something else than the one before
 */
export function createDifferences<Row extends object>(idOf: (row: Row) => string) {
  let before: ReadonlyMap<string, Row> | undefined
  let shown: string | undefined
  return (rows: readonly Row[], view: string): Differences | undefined => {
    const now = new Map(rows.map(row => [idOf(row), row]))
    const old = shown === view ? before : undefined
    before = now
    shown = view
    if (!old) return undefined
    const added = new Set<string>()
    let kept = 0
    let changed = 0
    for (const [id, row] of now) {
      const former = old.get(id)
      if (former === undefined) added.add(id)
      else {
        kept++
        if (former !== row) changed++
      }
    }
    return { added, changed, removed: old.size - kept }
  }
}
