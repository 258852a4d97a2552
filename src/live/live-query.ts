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
  readonly position: Position
  readonly images: RowImages | undefined
}

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
  #kept: LiveChange[] | undefined
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

  /** The read has a result. @returns whether it differs from the last one */
  conclude(rows: readonly PlanRow[], position: Position): boolean {
    const kept = this.#kept ?? []
    const before = this.#dependencies?.digest
    this.#kept = undefined
    this.#position = position
    this.#dependencies = dependenciesOf(this.live, rows)
    if (this.#isOverflown) this.isStale = true
    for (const change of kept) this.take(change)
    return before !== this.#dependencies.digest
  }

  /** A change of one of the tables. @returns whether the result is now stale, and was not before */
  take(change: LiveChange): boolean {
    if (this.#kept) {
      if (this.#kept.length < MAX_KEPT_CHANGES) this.#kept.push(change)
      else this.#isOverflown = true
      return false
    }
    if (this.isStale || !this.#dependencies) return false
    if (this.#position && comparePositions(change.position, this.#position) <= 0) return false
    this.isStale = this.#concerns(change, this.#dependencies)
    return this.isStale
  }

  #concerns({ relid, images }: LiveChange, dependencies: Dependencies): boolean {
    if (!images || isUnclear(images) || dependencies.isOpen || this.#policies?.decides(relid, images))
      return true
    const isSeenAlike = this.#policies?.isSeenAlike(relid, images) ?? true
    if (this.live.conditions.some(one => one.relid === relid && sways(one, images, isSeenAlike))) return true
    return this.live.nodes.some(
      node => node.relid === relid && this.#touches(node, images, dependencies, isSeenAlike),
    )
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
