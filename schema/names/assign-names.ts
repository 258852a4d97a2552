/** Something that needs a name. */
export interface Candidate<Item> {
  readonly item: Item
  /** The preferred name. */
  readonly wanted: string
  /** All names that are used up if it gets this name, with their kind in front if there are several kinds: `type People`. */
  brings(name: string): readonly string[]
  /** The first candidate keeps its name: ranks are compared from left to right. */
  readonly rank: readonly (number | string)[]
}

/**
 * Gives each candidate a unique name: the preferred one, or that with `_2`, `_3`, … at its end.
 * @param taken names that are not available
 */
export function assignNames<Item>(
  candidates: readonly Candidate<Item>[],
  taken: Iterable<string>,
): Map<Item, string> {
  const claimed = new Set(taken)
  const names = new Map<Item, string>()
  for (const { item, wanted, brings } of [...candidates].sort(byRank)) {
    let name = wanted
    for (let n = 2; brings(name).some(each => claimed.has(each)); n++) name = `${wanted}_${n}`
    for (const each of brings(name)) claimed.add(each)
    names.set(item, name)
  }
  return names
}

/** Sorts candidates: those that keep their names come first. */
export function byRank({ rank: a }: Candidate<unknown>, { rank: b }: Candidate<unknown>): number {
  for (const [i, left] of a.entries()) {
    const right = b[i] as number | string
    if (left !== right) return left < right ? -1 : 1
  }
  return 0
}
