import type { WatchedTable } from '../catalog/watched-table.js'
import type { Link } from '../filters/index.js'
import { comparePositions, type Position } from '../log/position.js'
import type { PlanRow } from '../plan/plan-result.js'
import { type Dependencies, dependenciesOf, UNLINKED } from './dependencies.js'
import { remoteKey } from './link-key.js'
import type { LiveNode } from './live-node.js'
import type { LivePlan } from './live-plan.js'
import type { LivePolicies } from './live-policies.js'
import { isUnclear, type RowImages, sways, touches } from './touches.js'

/** A change that a query may have to look at. Without images (TRUNCATE, a new generation) it concerns every query of the table. */
export interface LiveChange {
  readonly relid: string
  /** The table as it was at the change, if the change has images. */
  readonly table?: WatchedTable | undefined
  readonly position: Position
  readonly images: RowImages | undefined
}

/** What a change means for a query: `hidden?` if only policies can tell whether the viewer sees the row. */
export type Effect = 'none' | 'stale' | 'hidden?'

/** Most changes that are kept while a result is read. Beyond it, the query is read again. */
const MAX_KEPT_CHANGES = 1000

/**
 * The state of one live query: whether its last result still holds. Changes up to the position of the result are in it; changes that
 * arrive while a result is read are kept and looked at once it is known, since they may concern rows that only the new result has.
 */
export class LiveQuery {
  readonly live: LivePlan
  /** Whether a change may show that the last result does not. */
  isStale = true
  #position: Position | undefined
  #dependencies: Dependencies | undefined
  /** The changes since the read began; undefined: none is in progress. */
  #kept: (LiveChange & { readonly isVisible?: boolean })[] | undefined
  /** The number of changes of which it is not known whether the viewer sees the row. */
  #undecided = 0
  #isOverflown = false

  #policies: LivePolicies | undefined

  constructor(live: LivePlan, policies?: LivePolicies) {
    this.live = live
    this.#policies = policies
  }

  /** The tables whose changes it takes: those of its plan, and those that policies read. */
  get relids(): ReadonlySet<string> {
    return new Set([...this.live.plan.tables.keys(), ...(this.#policies?.read.keys() ?? [])])
  }

  /** The tables that policies read. */
  get policyRelids(): Iterable<string> {
    return this.#policies?.read.keys() ?? []
  }

  get isReading(): boolean {
    return this.#kept !== undefined
  }

  /** The position at which the last result was exact. */
  get position(): Position | undefined {
    return this.#position
  }

  get dependencies(): Dependencies | undefined {
    return this.#dependencies
  }

  /** Whether the policies are being asked about a change. */
  get isUndecided(): boolean {
    return this.#undecided > 0
  }

  /** A read begins: it sees all changes that were committed before. */
  begin(): void {
    this.isStale = false
    this.#kept = []
    this.#isOverflown = false
  }

  /** The read came to nothing. */
  fail(): void {
    this.isStale = true
    this.#kept = undefined
  }

  /** Other policies apply, or the same may show other rows. */
  govern(policies: LivePolicies): void {
    this.#policies = policies
    this.isStale = true
    if (this.#kept) this.#isOverflown = true
  }

  /** The positions of another history cannot be compared with the present one. */
  forget(): void {
    this.isStale = true
    this.#position = undefined
    if (this.#kept) this.#isOverflown = true
  }

  /** The read has a result. @returns whether it differs from the last one, and the kept changes about which policies have to decide */
  conclude(
    rows: readonly PlanRow[],
    position: Position,
  ): { readonly isNew: boolean; readonly undecided: readonly LiveChange[] } {
    const kept = this.#kept ?? []
    const before = this.#dependencies?.digest
    this.#kept = undefined
    this.#position = position
    this.#dependencies = dependenciesOf(this.live, rows)
    if (this.#isOverflown) this.isStale = true
    // First those that are known to be visible: a stale query needs no decision about the others.
    for (const change of kept) if (change.isVisible) this.take(change, true)
    const undecided = kept.filter(change => !change.isVisible && this.take(change) === 'hidden?')
    return { isNew: before !== this.#dependencies.digest, undecided }
  }

  /**
   * A change of one of the tables. After `hidden?`, call `decide`.
   * @param isVisible whether the viewer is known to see the row. Default: the policies have to decide, if there are any
   * @returns `stale` if the result is now stale, and was not before
   */
  take(change: LiveChange, isVisible = false): Effect {
    if (this.#kept) {
      if (this.#kept.length < MAX_KEPT_CHANGES) this.#kept.push(isVisible ? { ...change, isVisible } : change)
      else this.#isOverflown = true
      return 'none'
    }
    if (this.isStale || !this.#dependencies) return 'none'
    if (this.#position && comparePositions(change.position, this.#position) <= 0) return 'none'
    const effect = this.#effectOf(change, this.#dependencies, isVisible)
    if (effect === 'stale') this.isStale = true
    if (effect === 'hidden?') this.#undecided++
    return effect
  }

  /** Whether the policies decide alike about the row before and after the change. */
  isSeenAlike({ relid, images }: LiveChange): boolean {
    return images !== undefined && (this.#policies?.isSeenAlike(relid, images) ?? true)
  }

  /** The policies have decided about a change for which `take` returned `hidden?`. @returns as `take` */
  decide(change: LiveChange, isVisible: boolean): Effect {
    this.#undecided--
    return isVisible ? this.take(change, true) : 'none'
  }

  #effectOf({ relid, images }: LiveChange, dependencies: Dependencies, isVisible: boolean): Effect {
    const policies = this.#policies
    if (!images || isUnclear(images) || dependencies.isOpen || policies?.decides(relid, images))
      return 'stale'
    const isSeenAlike = policies?.isSeenAlike(relid, images) ?? true
    const isTouched =
      this.live.conditions.some(one => one.relid === relid && sways(one, images, isSeenAlike)) ||
      this.live.nodes.some(
        node => node.relid === relid && this.#touches(node, images, dependencies, isSeenAlike),
      )
    if (!isTouched) return 'none'
    return !isVisible && policies?.canDecide(relid, images) ? 'hidden?' : 'stale'
  }

  #touches(node: LiveNode, images: RowImages, { held }: Dependencies, isSeenAlike: boolean): boolean {
    if (node.node.kind === 'groups') return false // the aggregate above has the same rows, and its columns
    const keys = held.get(node)
    if (!keys) return false
    if (!node.link || !node.isExact)
      return touches(node, { key: undefined, last: keys.get(UNLINKED) }, images, isSeenAlike)
    return keysOf(node.link, images).some(
      key => keys.has(key) && touches(node, { key, last: keys.get(key) }, images, isSeenAlike),
    )
  }
}

/** The keys of the rows above to which a row belongs, before and after a change. */
export function keysOf(link: Link, { row, old }: RowImages): string[] {
  const keys = [row, old].flatMap(image => (image && remoteKey(link, image)) ?? [])
  return keys[0] === keys[1] ? keys.slice(0, 1) : keys
}
