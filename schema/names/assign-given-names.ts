import { assignNames, byRank, type Candidate } from './assign-names.js'

/** A candidate that may have a name of its own choice. */
export interface GivenCandidate<Item> extends Candidate<Item> {
  /** It gets exactly this name, or, if that is not available or is the preferred one, a name as if none had been given. */
  readonly given: string | undefined
}

export interface GivenNames<Item> {
  readonly names: ReadonlyMap<Item, string>
  /** Those whose given name is not available. */
  readonly refused: ReadonlySet<Item>
}

/**
 * `assignNames` with given names. A given name takes no name away from another candidate: it is refused if it is taken, or if the name
 * of a candidate without a given name, or of a given name of lower rank, needs it. Names are the same as if refused ones had not
 * been given.
 */
export function assignGivenNames<Item>(
  candidates: readonly GivenCandidate<Item>[],
  taken: Iterable<string>,
): GivenNames<Item> {
  const reserved = new Set(taken)
  const refused = new Set<Item>()
  const sorted = [...candidates].sort(byRank)
  for (;;) {
    const isGiven = ({ item, given, wanted }: GivenCandidate<Item>) =>
      given !== undefined && given !== wanted && !refused.has(item)
    const others = sorted.filter(each => !isGiven(each))
    const names = assignNames(others, reserved)
    const claimed = new Set(reserved)
    for (const { item, brings } of others) claim(claimed, brings(names.get(item) as string))
    const before = refused.size
    for (const { item, given = '', brings } of sorted.filter(isGiven)) {
      const brought = brings(given)
      if (brought.some(name => claimed.has(name))) refused.add(item)
      else {
        names.set(item, given)
        claim(claimed, brought)
      }
    }
    if (refused.size === before) return { names, refused }
  }
}

function claim(claimed: Set<string>, names: readonly string[]): void {
  for (const name of names) claimed.add(name)
}
