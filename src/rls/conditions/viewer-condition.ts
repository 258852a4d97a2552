// The condition of policies for one viewer: its claims are put in, so that a filter of columns is left.

import type { TableColumn } from '../../catalog/watched-table.js'
import { EVERYTHING, type Filter, operandOf, type RowImage, toPredicate } from '../../filters/index.js'
import { isDecidable } from '../policy-images.js'
import { type PlainClaims, plainClaimsOf } from './plain-claims.js'
import type { ClaimCast, PolicyCondition } from './policy-condition.js'

/** Which rows a viewer sees. */
export interface ViewerCondition {
  /** Every row that the viewer sees matches it, for an index. */
  readonly filter: Filter
  sees(image: RowImage): boolean
}

/** What policies decide for a role, without the database. */
export interface RowCondition {
  /**
   * @param claims as JSON, as Postgres gets them
   * @returns undefined: the database has to be asked about this viewer, because it may fail or read a claim in another way
   */
  of(claims: string): ViewerCondition | undefined
}

const NOTHING: Filter = { kind: 'or', filters: [] }

/** Most viewers whose conditions are kept. */
const MAX_VIEWERS = 5000

/** @param columns all that the policies read: a row in which one of them is unreadable is hidden */
export function createRowCondition(
  condition: PolicyCondition,
  columns: readonly TableColumn[],
): RowCondition {
  const known = new Map<string, ViewerCondition | undefined>()

  function decide(claims: string): ViewerCondition | undefined {
    const plain = plainClaimsOf(claims)
    const filter = plain && filterOf(condition, plain)
    if (!filter) return undefined
    const matches = toPredicate(filter)
    return { filter, sees: image => isDecidable(image, columns) && matches(image) }
  }

  return {
    of(claims) {
      if (known.has(claims)) return known.get(claims)
      if (known.size >= MAX_VIEWERS) known.clear()
      const found = decide(claims)
      known.set(claims, found)
      return found
    },
  }
}

/** @returns undefined: Postgres may fail on a claim, or read it in another way */
function filterOf(condition: PolicyCondition, claims: PlainClaims): Filter | undefined {
  switch (condition.kind) {
    case 'constant':
      return condition.value ? EVERYTHING : NOTHING
    case 'claim': {
      const text = claims.text(condition.claim)
      if (text === undefined) return undefined
      return text === condition.value ? EVERYTHING : NOTHING
    }
    case 'equals': {
      const { column, claim, cast } = condition
      const text = claims.text(claim)
      if (text === null) return NOTHING
      return text === undefined || !isExact(text, cast) ? undefined : equal(column, text, cast)
    }
    default: {
      // All parts, whatever the first ones are: Postgres may evaluate them in any order.
      const filters = condition.conditions.map(one => filterOf(one, claims))
      if (filters.includes(undefined)) return undefined
      return { kind: condition.kind, filters: filters.filter(one => one !== undefined) }
    }
  }
}

const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/
const ANY_UUID = new RegExp(UUID, 'i')
const INTEGER = /^(0|-?[1-9]\d{0,18})$/
const BITS: Readonly<Record<'smallint' | 'integer' | 'bigint', number>> = {
  smallint: 16,
  integer: 32,
  bigint: 64,
}

/** Whether the cast of the text succeeds, and has one meaning only. */
function isExact(text: string, cast: ClaimCast): boolean {
  if (cast === 'text') return true
  if (cast === 'uuid') return ANY_UUID.test(text)
  return INTEGER.test(text) && BigInt.asIntN(BITS[cast], BigInt(text)) === BigInt(text)
}

/** The column equals the text, read as the cast says. */
function equal(column: TableColumn, text: string, cast: ClaimCast): Filter | undefined {
  const { category } = column
  if (cast === 'text' && category !== 'text') {
    // The column's own text has one form only.
    const isForm = category === 'uuid' ? UUID.test(text) : INTEGER.test(text)
    if (!isForm) return NOTHING
  }
  const isInteger = category === 'int2' || category === 'int4'
  const operand = operandOf(column, isInteger ? Number(text) : text)
  if (typeof operand !== 'string') return { kind: 'compare', column, operator: 'eq', operand }
  // A number beyond the column's range; a text that no column can have fails in Postgres.
  return category === 'text' ? undefined : NOTHING
}
