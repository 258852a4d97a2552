/** What differs between two lists of rows. */
export interface Differences {
  readonly added: ReadonlySet<string>
  readonly changed: number
  readonly removed: number
}

const NONE: ReadonlySet<string> = new Set()

/**
 * Compares lists of rows, of which equal ones are the same objects, as the stores of listenql/client keep them.
 * @returns undefined for the first list, and for one that shows something else than the one before
 */
export function createDifferences<Row extends object>(idOf: (row: Row) => string) {
  let before: readonly Row[] = []
  let shown: string | undefined
  return (rows: readonly Row[], view: string): Differences | undefined => {
    const old = before
    const isSameView = shown === view
    before = rows
    shown = view
    return isSameView ? (inPlace(old, rows, idOf) ?? byId(old, rows, idOf)) : undefined
  }
}

/** For the most frequent change, of thousands of rows: some have other values, and none came, went or moved. */
function inPlace<Row>(old: readonly Row[], rows: readonly Row[], idOf: (row: Row) => string) {
  if (old.length !== rows.length) return undefined
  let changed = 0
  for (const [i, row] of rows.entries()) {
    const former = old[i] as Row
    if (former === row) continue
    if (idOf(former) !== idOf(row)) return undefined
    changed++
  }
  return { added: NONE, changed, removed: 0 }
}

function byId<Row>(old: readonly Row[], rows: readonly Row[], idOf: (row: Row) => string): Differences {
  const former = new Map<string, Row>()
  for (const row of old) former.set(idOf(row), row)
  const added = new Set<string>()
  let changed = 0
  for (const row of rows) {
    const id = idOf(row)
    const known = former.get(id)
    if (known === undefined) added.add(id)
    else if (known !== row) changed++
  }
  return { added, changed, removed: former.size - (rows.length - added.size) }
}
