// Which policies the server can evaluate itself: those that do nothing but compare columns with claims. Whatever is not surely one of them
// is left to the database, which stays the judge (`conditions-agree.test.ts`).
import type { TableColumn, WatchedTable } from '../../catalog/watched-table.js'
import { isOfTheToken } from '../../lib/claims.js'
import type { Policy } from '../policies.js'
import { type PolicyExpression, readPolicyExpression } from './policy-expression.js'

/** A condition on a row and on claims. It is never NULL: where SQL has NULL, it is false, and there is no NOT. */
export type PolicyCondition =
  | { readonly kind: 'and' | 'or'; readonly conditions: readonly PolicyCondition[] }
  | { readonly kind: 'constant'; readonly value: boolean }
  /** The column equals the claim: as texts, or as values of the type to which the claim is cast. */
  | {
      readonly kind: 'equals'
      readonly column: TableColumn
      readonly claim: string
      readonly cast: ClaimCast
    }
  /** The claim is this text. */
  | { readonly kind: 'claim'; readonly claim: string; readonly value: string }

export type ClaimCast = 'text' | 'uuid' | 'smallint' | 'integer' | 'bigint'

/**
 * The types of columns, by oid, with the casts of claims that Postgres compares them with exactly: text and varchar by their bytes. Not
 * bpchar, which ignores spaces at the end, and no domain, array or type of a user.
 */
const COMPARED: ReadonlyMap<number, readonly ClaimCast[]> = new Map([
  [20, ['smallint', 'integer', 'bigint']],
  [21, ['smallint', 'integer', 'bigint']],
  [23, ['smallint', 'integer', 'bigint']],
  [25, ['text']],
  [2950, ['uuid']],
])

/** Types, by oid, whose text in SQL (`column::text`) is the text in an image. */
const SHOWN: ReadonlySet<number> = new Set([20, 21, 23, 1043, 2950])

/** Names of claims and texts that Postgres writes without escapes, whatever the settings. */
const PLAIN_TEXT = /^[\x20-\x7e]+$/

/**
 * @param policies that apply to the role, at least one of them permissive
 * @returns the condition under which they show a row; undefined: the database has to be asked
 */
export function policyConditionOf(
  table: WatchedTable,
  policies: readonly Policy[],
): PolicyCondition | undefined {
  const read: (readonly [Policy, PolicyCondition])[] = []
  for (const policy of policies) {
    const expression = policy.isBuiltIn ? readPolicyExpression(policy.using) : undefined
    const condition = expression && conditionOf(expression, usableColumns(table, policy))
    if (!condition) return undefined
    read.push([policy, condition])
  }
  const of = (isPermissive: boolean) =>
    read.flatMap(([policy, condition]) => (policy.isPermissive === isPermissive ? [condition] : []))
  return { kind: 'and', conditions: [...of(false), { kind: 'or', conditions: of(true) }] }
}

/** The columns that the policy names, by name, as far as images hold them as the policy reads them. */
function usableColumns(table: WatchedTable, policy: Policy): ReadonlyMap<string, TableColumn> {
  const usable = new Map<string, TableColumn>()
  for (const { name, isSystem, collation, number, typeOid } of policy.columns) {
    const column = table.columns.find(one => one.name === name)
    // An image may be from before the column got its present type, or another column its name.
    const isSame = column?.number === number && column.typeOid === typeOid
    if (column && isSame && !isSystem && collation === null) usable.set(name, column)
  }
  return usable
}

type Columns = ReadonlyMap<string, TableColumn>

function conditionOf(expression: PolicyExpression, columns: Columns): PolicyCondition | undefined {
  switch (expression.kind) {
    case 'and':
    case 'or': {
      const conditions = expression.parts.map(part => conditionOf(part, columns))
      if (conditions.includes(undefined)) return undefined
      return { kind: expression.kind, conditions: conditions.filter(one => one !== undefined) }
    }
    case 'name': {
      const { name, isQuoted } = expression
      if (isQuoted || (name !== 'true' && name !== 'false')) return undefined
      return { kind: 'constant', value: name === 'true' }
    }
    case 'operator': {
      const { operator, left, right } = expression
      if (operator !== '=') return undefined
      return comparisonOf(left, right, columns) ?? comparisonOf(right, left, columns)
    }
    default:
      return undefined
  }
}

/** @param left a column or a claim @param right a claim or, compared with a claim, a text */
function comparisonOf(
  left: PolicyExpression,
  right: PolicyExpression,
  columns: Columns,
): PolicyCondition | undefined {
  const text = right.kind === 'cast' && right.type === 'text' ? stringOf(right.of) : undefined
  if (text !== undefined) {
    const asked = claimOf(left)
    return asked?.cast === 'text' ? { kind: 'claim', claim: asked.claim, value: text } : undefined
  }
  const claim = claimOf(right)
  const isShown = left.kind === 'cast' && left.type === 'text'
  const named = isShown ? left.of : left
  const column = named.kind === 'name' ? columns.get(named.name) : undefined
  if (!claim || !column) return undefined
  const casts = isShown ? (SHOWN.has(column.typeOid) ? ['text'] : []) : (COMPARED.get(column.typeOid) ?? [])
  return casts.includes(claim.cast) ? { kind: 'equals', column, ...claim } : undefined
}

function claimOf(
  expression: PolicyExpression,
): { readonly claim: string; readonly cast: ClaimCast } | undefined {
  const of = selectedBy(expression)
  if (of.kind === 'cast') {
    const { type } = of
    const inner = claimOf(of.of)
    const isCast = type === 'uuid' || type === 'smallint' || type === 'integer' || type === 'bigint'
    return isCast && inner?.cast === 'text' ? { claim: inner.claim, cast: type } : undefined
  }
  if (of.kind !== 'operator' || of.operator !== '->>' || !isClaims(of.left)) return undefined
  const claim = of.right.kind === 'cast' && of.right.type === 'text' ? stringOf(of.right.of) : undefined
  // A viewer stands for several tokens, whose claims of these names differ.
  return claim === undefined || isOfTheToken(claim) ? undefined : { claim, cast: 'text' }
}

/** All claims as JSON. They are set whenever policies are evaluated, and never an empty text. */
function isClaims(expression: PolicyExpression): boolean {
  const json = selectedBy(expression)
  return json.kind === 'cast' && (json.type === 'json' || json.type === 'jsonb') && isSetting(json.of)
}

function isSetting(expression: PolicyExpression): boolean {
  const of = selectedBy(expression)
  if (of.kind !== 'call') return false
  const [first, second, ...rest] = of.values
  if (!first || rest.length > 0) return false
  if (of.name === 'current_setting')
    return (
      isText(first, 'request.jwt.claims') &&
      (!second || (second.kind === 'name' && !second.isQuoted && /^(true|false)$/.test(second.name)))
    )
  if (!second || !isSetting(first)) return false
  return (of.name === 'NULLIF' && isText(second, '')) || (of.name === 'COALESCE' && isText(second, '{}'))
}

function isText(expression: PolicyExpression, value: string): boolean {
  const { kind } = expression
  return (
    kind === 'cast' &&
    expression.type === 'text' &&
    expression.of.kind === 'string' &&
    expression.of.value === value
  )
}

function stringOf(expression: PolicyExpression): string | undefined {
  return expression.kind === 'string' && PLAIN_TEXT.test(expression.value) ? expression.value : undefined
}

function selectedBy(expression: PolicyExpression): PolicyExpression {
  return expression.kind === 'select' ? selectedBy(expression.of) : expression
}
