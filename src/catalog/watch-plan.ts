import { decidingPattern, type TablePattern } from '../lib/patterns/table-pattern.js'
import type { Relation, WatchedRelation } from './relations.js'

/** A relation that a pattern matches and that is not watched. */
export interface Skipped {
  readonly relation: Relation
  /** As a predicate: `is a view`. */
  readonly reason: string
  /** It could be watched by a login with more rights. */
  readonly lacksRight: boolean
  readonly pattern: TablePattern
}

/** What a list of patterns means for the relations of a database. */
export interface WatchPlan {
  /** Selected and not watched, or without a history at the moment. */
  readonly toWatch: readonly Relation[]
  /** Selected and watched. */
  readonly already: readonly Relation[]
  readonly skipped: readonly Skipped[]
  /** Watched and not selected. */
  readonly others: readonly WatchedRelation[]
  /** Patterns that match no relation. */
  readonly unmatched: readonly TablePattern[]
}

/** @param patterns of which the last that matches a relation decides */
export function planWatch(
  patterns: readonly TablePattern[],
  relations: readonly Relation[],
  watched: readonly WatchedRelation[],
): WatchPlan {
  const states = new Map(watched.map(state => [state.relid, state]))
  const toWatch: Relation[] = []
  const already: Relation[] = []
  const skipped: Skipped[] = []
  const selected = new Set<string>()
  for (const relation of relations) {
    const pattern = decidingPattern(patterns, relation)
    if (!pattern || pattern.isNegated) continue
    selected.add(relation.relid)
    const state = states.get(relation.relid)
    if (state?.isWhole) {
      already.push(relation)
      continue
    }
    const reason = obstacleOf(relation, pattern)
    if (reason !== undefined) skipped.push({ relation, reason, lacksRight: false, pattern })
    else if (!relation.mayTrigger && !state)
      skipped.push({
        relation,
        reason: 'needs the privilege TRIGGER, which this login lacks',
        lacksRight: true,
        pattern,
      })
    else toWatch.push(relation)
  }
  return {
    toWatch,
    already,
    skipped,
    others: watched.filter(({ relid }) => !selected.has(relid)),
    unmatched: patterns.filter(pattern => !relations.some(relation => pattern.matches(relation))),
  }
}

/** Why a relation cannot be watched, whatever the rights of the login are. */
function obstacleOf(relation: Relation, { isName }: TablePattern): string | undefined {
  const { kind, extension, unsuitable } = relation
  if (relation.schema === 'listenql') return 'belongs to listenql'
  if (relation.isOfSystem) return 'belongs to the system'
  if (relation.isTemporary) return 'is temporary'
  if (kind !== 'table') return `is a ${kind}`
  if (relation.isPart)
    return `is a part of ${relation.roots.join(' and ')}, and parts are watched with their table`
  if (unsuitable === relation.shown) return 'is unlogged, so a crash would empty it without an event'
  if (unsuitable !== null)
    return `has a part that cannot be watched: ${unsuitable} is unlogged or a foreign table`
  // A table that an extension keeps for itself is watched only if it is named.
  if (extension !== null && !isName) return `belongs to the extension ${extension}`
  return undefined
}
