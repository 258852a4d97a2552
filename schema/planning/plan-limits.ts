import { ListenqlError } from '../../src/lib/errors.js'
import { LimitExceeded } from '../../src/lib/limits/limit-exceeded.js'
import type { SchemaLimits } from '../table-schema.js'

/** Default limits; see the options of the same meaning. */
export const MAX_ROWS = 10_000
export const MAX_LIVE_ROWS = 1000
export const DEFAULT_ROWS = 100
export const MAX_RELATION_DEPTH = 6
export const MAX_RELATIONS = 20
export const MAX_RELATED_ROWS = 1000
export const MAX_GROUPS = 1000

/** The relations, conditions on relations and groups of one field of an operation, whose number and depth are limited. */
export class RelationBudget {
  readonly #limits: Pick<SchemaLimits, 'relationDepth' | 'relations'>
  #count = 0

  constructor(limits: Pick<SchemaLimits, 'relationDepth' | 'relations'>) {
    this.#limits = limits
  }

  /** Counts a relation at this depth; 1: directly below the field. @throws LimitExceeded */
  enter(depth: number): void {
    const { relationDepth = MAX_RELATION_DEPTH } = this.#limits
    if (depth > relationDepth)
      throw new LimitExceeded(
        'maxRelationDepth',
        relationDepth,
        `relations are nested more than ${relationDepth} deep`,
      )
    this.count()
  }

  /** Counts what has no depth. @throws LimitExceeded */
  count(): void {
    const { relations = MAX_RELATIONS } = this.#limits
    if (++this.#count > relations)
      throw new LimitExceeded(
        'maxRelations',
        relations,
        `there are more than ${relations} relations, conditions on relations and groups`,
      )
  }
}

/** The greatest `limit` of a list. */
export function mostRows(
  { rows = MAX_ROWS, liveRows = MAX_LIVE_ROWS }: SchemaLimits,
  isLive: boolean,
): number {
  return isLive ? Math.min(rows, liveRows) : rows
}

/** The limits of live queries, whose lists are shorter. */
export function liveLimits(limits: SchemaLimits): SchemaLimits {
  const { relatedRows = MAX_RELATED_ROWS } = limits
  return { ...limits, relatedRows: Math.min(relatedRows, mostRows(limits, true)) }
}

/** The options that limit the rows of a list. */
export type RowsOption = 'maxRelatedRows' | 'maxLiveRows' | 'maxRows'

const PAGING: Partial<Record<RowsOption, string>> = {
  maxRows: 'read page by page, and subscribe after the cursor of the first page',
  maxLiveRows: 'show a page with limit and offset; or query the rows once, and subscribe to their changes',
}

/** @returns the argument `name`, an integer from 0 to `max`, which `option` sets. @throws ListenqlError ARGUMENT_INVALID, LIMIT_EXCEEDED */
export function within(name: string, given: unknown, max: number, option: RowsOption = 'maxRows'): number {
  const value = given as number
  if (value < 0) throw new ListenqlError('ARGUMENT_INVALID', `${name}: ${value} is less than 0`)
  if (value > max)
    throw new LimitExceeded(option, max, `${name}: ${value} is more than ${max}`, PAGING[option])
  return value
}
