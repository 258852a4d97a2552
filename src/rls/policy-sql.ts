import type { TableColumn, WatchedTable } from '../catalog/watched-table.js'
import { ListenqlError } from '../lib/errors.js'
import { altered, cannotBeAsked } from './access-errors.js'
import { policyConditionOf } from './conditions/policy-condition.js'
import { createRowCondition, type RowCondition } from './conditions/viewer-condition.js'
import type { Policy, PolicyColumn } from './policies.js'
import { imagesSql, refusalOf, refusalOfWhole, wholeImagesSql } from './policy-images.js'
import { isTransparent, mayReadToken } from './policy-reach.js'
import { missingGrant, type RowRights } from './privileges.js'

/** How to decide which rows a role sees. */
export type PolicyPlan =
  | { readonly kind: 'all' }
  | { readonly kind: 'none' }
  | { readonly kind: 'refused'; readonly error: ListenqlError }
  | PolicyQuery

/** The policies have to be evaluated. */
export interface PolicyQuery {
  readonly kind: 'asked'
  /**
   * SELECT that returns $1 (int4), and a text with a 1 or a 0 for each row of the images. Everything in it is either written here
   * or comes from the catalogue. Parse it as the role, under the role's search_path.
   */
  readonly text: string
  /** The same with a number instead of $1. */
  literal(number: number): string
  /** The columns that it reads from each image; undefined: whole rows. */
  readonly columns: readonly TableColumn[] | undefined
  readonly policies: readonly Policy[]
  /** Decides in place of the query. Undefined: the policies are none that the server can evaluate itself. */
  readonly condition?: RowCondition | undefined
  /** One plan may serve all viewers of the role: it cannot contain the result for one viewer. */
  readonly isShareable: boolean
  /** It may read tables, whose rows then decide. */
  readonly mayReadTables: boolean
  /** It may read the claims that differ in every token. */
  readonly mayReadToken: boolean
  /** The role's settings, as the catalogue has them. */
  readonly settings: readonly string[]
  readonly schemas: readonly string[]
}

export const POLICY_QUERY_PARAMETERS = '(pg_catalog.int4)'

export type PlanPolicies = (table: WatchedTable, rights: string | undefined) => PolicyPlan

/** Caches its result for each table. @returns `planPolicies` for rights as JSON; undefined: the table is gone */
export function createPolicyPlanner(): PlanPolicies {
  const known = new WeakMap<WatchedTable, Map<string, PolicyPlan>>()
  return (table, rights) => {
    if (rights === undefined) return refused(altered(table))
    const plans = known.get(table) ?? new Map<string, PolicyPlan>()
    known.set(table, plans)
    const plan = plans.get(rights) ?? planPolicies(table, JSON.parse(rights) as RowRights)
    plans.set(rights, plan)
    return plan
  }
}

/** The row-level security of a role on a table, as SQL on images of rows. */
export function planPolicies(table: WatchedTable, rights: RowRights): PolicyPlan {
  const { policies } = rights
  const missing = missingGrant(table, rights)
  if (missing) return refused(missing)
  if (!rights.hasRowSecurity) return { kind: 'all' }
  if (!policies.some(({ isPermissive }) => isPermissive)) return { kind: 'none' }
  try {
    const query = policyQueryOf(table, policies, rights)
    return { ...query, condition: conditionOf(table, query, rights) }
  } catch (error) {
    if (error instanceof ListenqlError) return refused(error)
    throw error
  }
}

/** @throws ListenqlError FORBIDDEN if an image lacks what a policy needs, SCHEMA_CHANGED */
export function policyQueryOf(
  table: WatchedTable,
  policies: readonly Policy[],
  { settings, schemas }: Pick<RowRights, 'settings' | 'schemas'>,
): PolicyQuery {
  const isWhole = policies.some(usesWholeRow)
  const columns = new Map<string, PolicyColumn & { readonly column: TableColumn }>()
  for (const policy of policies) {
    for (const used of policy.columns) {
      if (used.isSystem) throw cannotBeAsked(table, policy.name, `it uses the system column ${used.name}`)
      const column = table.columns.find(({ name }) => name === used.name)
      if (!column) throw altered(table)
      const reason = refusalOf(column)
      if (reason !== undefined) throw cannotBeAsked(table, policy.name, reason)
      columns.set(used.name, { ...used, column })
    }
    if (!usesWholeRow(policy)) continue
    const reasons = table.columns.map(refusalOfWhole).filter(reason => reason !== undefined)
    if (reasons[0] !== undefined) throw cannotBeAsked(table, policy.name, reasons[0])
  }
  const used = [...columns.values()]
  const source = isWhole ? wholeImagesSql(table) : imagesSql(table, used)
  const read = isWhole ? table.columns : used.map(({ column }) => column)
  const isAllInText = isTransparent(policies, read)
  const answer = `(select pg_catalog.string_agg(_lq_v.seen, '') from (select case when ${sqlOf(policies)} then '1' else '0' end as seen from ${source}) _lq_v)`
  return {
    kind: 'asked',
    text: `select $1, ${answer}`,
    literal: number => `select ${number}, ${answer}`,
    columns: isWhole ? undefined : read,
    policies,
    isShareable: isAllInText,
    mayReadTables: !isAllInText || policies.some(({ readsTables }) => readsTables),
    mayReadToken: mayReadToken(policies, isAllInText),
    settings,
    schemas,
  }
}

/** Only of a query that reads no tables and no claims of the token, and runs no code of users. */
function conditionOf(
  table: WatchedTable,
  { policies, columns, mayReadTables, mayReadToken, isShareable }: PolicyQuery,
  { comparesAlike }: RowRights,
): RowCondition | undefined {
  if (!comparesAlike || !isShareable || mayReadTables || mayReadToken || !columns) return undefined
  const condition = policyConditionOf(table, policies)
  return condition && createRowCondition(condition, columns)
}

/** Combined as in add_security_quals (src/backend/rewrite/rowsecurity.c). */
function sqlOf(policies: readonly Policy[]): string {
  const restrictive = policies.filter(({ isPermissive }) => !isPermissive).map(({ using }) => `(${using})`)
  const permissive = policies.filter(({ isPermissive }) => isPermissive).map(({ using }) => `(${using})`)
  return [...restrictive, `(${permissive.join(' or ')})`].join(' and ')
}

/** For a whole-row reference Postgres records no columns, but pg_get_expr writes it as `people.*`. */
function usesWholeRow({ using }: Policy): boolean {
  return using.replaceAll(/"(?:[^"]|"")*"|'(?:[^']|'')*'/g, '_').includes('.*')
}

function refused(error: ListenqlError): PolicyPlan {
  return { kind: 'refused', error }
}
