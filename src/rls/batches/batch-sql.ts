// The SQL of a batch: for each viewer it sets role, settings and claims, then runs the query as a statement of its own, under a
// statement_timeout of its own (from PostgreSQL 13 on it applies to each statement of a message).
//
// Where the text of the policies shows all that they do, the query stays prepared, with one plan for all viewers. Otherwise no plan
// made for one viewer may serve another: Postgres computes IMMUTABLE calls when it plans a statement, and the plans of functions stay
// in the session until DISCARD PLANS.
import { quoteLiteral } from '../../postgres/quote-literal.js'
import { takeClaimsSql, takeRoleSql, takeSettingsSql } from '../become.js'
import { IMAGES, WHOLE_IMAGES } from '../policy-images.js'
import { readerOf, takeReaderSql } from '../policy-prepare.js'
import { POLICY_QUERY_PARAMETERS, type PolicyQuery } from '../policy-sql.js'
import { CLEAN, CLEAN_CLAIMS } from '../policy-transaction.js'
import { schemasSetting, usableOf } from '../role-rights.js'
import type { RoleSetting } from '../role-settings.js'
import { scansSql } from '../self-reading.js'
import type { BatchMemory } from './batch-memory.js'
import type { AskedViewer, BatchPlan } from './batch-plan.js'

/** Name of the statement that one role parses and another executes, parsed anew each time. */
const ONCE = 'listenql once'

/** Session-level locks that a function has taken would outlive the transaction. */
const UNLOCK = 'select null, null, pg_catalog.pg_advisory_unlock_all()'

/** SQL that gives the images to the queries of the transaction, and sets the time limit of each. */
export function handOverSql({ batch, some, whole }: BatchPlan): string {
  const timeouts = `set local statement_timeout = ${batch.budget}`
  const wholes = whole ? `; set local ${WHOLE_IMAGES} = ${quoteLiteral(whole.text)}` : ''
  return `${timeouts}; set local ${IMAGES} = ${quoteLiteral(some.text)}${wholes}; savepoint listenql`
}

/** Whether the query stays prepared. If another role had to parse it, Postgres could not parse it again after a change. */
export function isShared(role: string, query: PolicyQuery, { readers }: BatchMemory): boolean {
  return query.isShareable && readerOf(readers, role, query) === undefined
}

/** Settings of the role's statements; where another role parses them, with a search_path that both roles resolve alike. */
export function settingsOf(
  role: string,
  query: PolicyQuery,
  { usable, readers }: BatchMemory,
): readonly RoleSetting[] {
  const settings = usableOf(usable, role, query.settings) ?? []
  if (readerOf(readers, role, query) === undefined) return settings
  return [...settings, schemasSetting(query.schemas)]
}

/** Whether the scans have to be counted, because the text of a policy does not show what it reads. */
export function countsScans(
  { viewer: { role }, query }: AskedViewer,
  relid: string,
  { selfReading }: BatchMemory,
): boolean {
  return !query.isShareable && !selfReading.has(relid, role)
}

/**
 * Statements that ask the viewers from number `from` on. Each answer is a row of the viewer's number and the text of the query.
 * @param hasCount scans were counted in this transaction before
 */
export function askSql(
  { batch, asked }: BatchPlan,
  memory: BatchMemory,
  from: number,
  hasCount: boolean,
): string {
  const { relid } = batch.table
  let sql = ''
  let isCounted = hasCount
  let role: string | undefined
  let reader: string | undefined
  let shared = false
  let counts = false
  for (let number = from; number < asked.length; number++) {
    const one = asked[number] as AskedViewer
    const { viewer, query } = one
    const isFirst = viewer.role !== role
    if (isFirst) {
      role = viewer.role
      reader = readerOf(memory.readers, role, query)
      shared = isShared(role, query, memory)
      counts = countsScans(one, relid, memory)
      if (counts && !isCounted) sql += `; ${scansSql(relid, -1)}`
      isCounted ||= counts
    }
    sql += `; ${isFirst ? enterSql(viewer.role, query, shared, memory) : CLEAN_CLAIMS}`
    if (!shared) sql += '; discard plans'
    sql += `; ${takeClaimsSql(viewer.claims)}; `
    if (shared) sql += memory.prepared.execute(query.text, [String(number)], role)
    else sql += freshSql(one, number, reader)
    // Once for each role: it takes as long as the query of one viewer.
    if (counts && asked[number + 1]?.viewer.role !== role) sql += `; ${scansSql(relid, number)}`
  }
  return sql
}

function enterSql(role: string, query: PolicyQuery, shared: boolean, memory: BatchMemory): string {
  const settings = settingsOf(role, query, memory)
  const set = settings.length > 0 ? `; ${takeSettingsSql(settings)}` : ''
  // The statements of functions choose their own plans; this query has one generic plan or none.
  const plans = shared ? '' : '; set local plan_cache_mode = auto'
  return `${CLEAN}; ${takeRoleSql(role)}${set}${plans}; savepoint listenql_role`
}

/** A query that Postgres parses and plans anew. @param reader the role that parses it; undefined: the viewer's */
function freshSql(
  { viewer: { role }, query }: AskedViewer,
  number: number,
  reader: string | undefined,
): string {
  if (reader === undefined) return query.literal(number)
  return `${takeReaderSql(reader)}; prepare "${ONCE}" ${POLICY_QUERY_PARAMETERS} as ${query.text}; ${takeRoleSql(role)};
    execute "${ONCE}"(${number}); deallocate "${ONCE}"`
}

/** SQL that undoes what the last viewer has set, and what its policies may have left in the session. */
export function leaveSql({ asked }: BatchPlan, memory: BatchMemory): string {
  const mayHaveLocked = asked.some(({ viewer, query }) => !isShared(viewer.role, query, memory))
  return mayHaveLocked ? `${CLEAN}; ${UNLOCK}` : CLEAN
}
