import type pg from 'pg'
import type { WatchedTable } from '../catalog/watched-table.js'
import type { RowImage } from '../filters/index.js'
import { type ListenqlError, messageOf } from '../lib/errors.js'
import { runSeveral } from '../postgres/multi-statement.js'
import { quoteLiteral } from '../postgres/quote-literal.js'
import { hasSqlState, isStatementError, isTimeout, SQL_STATE } from '../postgres/sql-state.js'
import { outOfReach, policiesFailed, policiesTooSlow, tokensMatterMeanwhile } from './access-errors.js'
import { takeClaimsSql, takeRoleSql, takeSettingsSql } from './become.js'
import {
  decodeVerdicts,
  type EncodedImages,
  encodeImages,
  IMAGES,
  isDecidable,
  WHOLE_IMAGES,
} from './policy-images.js'
import { preparePolicyQuery, type Readers, readerKey, takeReaderSql } from './policy-prepare.js'
import { CLEAN, CLEAN_CLAIMS, LockedOut, rollBack, StatementsLost } from './policy-session.js'
import { type PlanPolicies, POLICY_QUERY_PARAMETERS, type PolicyQuery } from './policy-sql.js'
import type { Prepared } from './prepared.js'
import { RIGHTS, type RowRights } from './privileges.js'
import {
  type FoundRights,
  readRights,
  readRightsSql,
  schemasSetting,
  type UsableSettings,
  usableOf,
} from './role-rights.js'
import type { RoleSetting } from './role-settings.js'
import { SCANS, scansSql } from './self-reading.js'

/** For each image whether it is visible, or the error that prevented the check. */
export type Visibility = readonly boolean[] | ListenqlError

/** What a batch needs to know of a viewer. */
export interface BatchViewer {
  readonly key: string
  readonly role: string
  /** As JSON. */
  readonly claims: string
  /** Claims that differ in every token were left out, since the policies did not read them. */
  readonly isShortened: boolean
}

export interface Batch {
  readonly table: WatchedTable
  /** Viewers of one role are adjacent. */
  readonly viewers: readonly BatchViewer[]
  readonly images: readonly RowImage[]
  /** Time for each viewer, in ms. */
  readonly budget: number
  /** Time to have Postgres parse a query, in ms. */
  readonly toPrepare: number
  /**
   * Called with the key of a viewer whose policies take longer, or wait for a lock. The batch ends with that viewer, and
   * those after it get no verdict. Default: the viewer's verdict is the error, and locks end the batch with LockedOut.
   */
  readonly onSlow?: ((key: string) => void) | undefined
}

/** What is kept between batches. */
export interface BatchMemory {
  /** The rights of each role on the table as last read, by role. */
  readonly rights: Map<string, string>
  readonly planPolicies: PlanPolicies
  readonly prepared: Prepared
  readonly readers: Readers
  readonly usable: UsableSettings
  /** Tables and roles (`selfKey`) whose policies have read the table itself. */
  readonly selfReading: Set<string>
}

export function selfKey({ relid }: WatchedTable, role: string): string {
  return `${relid} ${role}`
}

interface ViewerQuery {
  readonly viewer: BatchViewer
  readonly query: PolicyQuery
}

interface BatchPlan {
  readonly batch: Batch
  /** Viewers whose result is known without evaluating policies. */
  readonly settled: ReadonlyMap<string, Visibility>
  readonly asked: readonly ViewerQuery[]
  readonly some: EncodedImages
  readonly whole: EncodedImages | undefined
}

/** How long after its time limit an unresponsive connection is abandoned, in ms. */
const SILENCE_GRACE_MS = 5000

/** Longest time that a statement of the server itself may take, in ms. */
const OWN_STATEMENT_TIMEOUT_MS = 30_000

function begin(budget: number): string {
  return `begin isolation level repeatable read read only; set local row_security = on; set local jit = off;
    set local lc_monetary = 'C'; set local xmloption = content; set local plan_cache_mode = force_generic_plan;
    set local lock_timeout = ${Math.ceil(budget / 2)}; set local statement_timeout = ${OWN_STATEMENT_TIMEOUT_MS}`
}

/** Name of the statement that one role parses and another executes, parsed anew each time. */
const ONCE = 'listenql once'

/**
 * Evaluates the policies of one table on images for many viewers, in one transaction and, once everything is prepared, one round
 * trip: for each viewer it sets role, settings and claims, then runs the query as a statement of its own, under a
 * statement_timeout of its own (from PostgreSQL 13 on it applies to each statement of a message). It skips a viewer for which
 * that fails.
 *
 * Where the text of the policies shows all that they do, the query stays prepared, with one plan for all viewers. Otherwise no
 * plan made for one viewer may serve another: Postgres computes IMMUTABLE calls when it plans a statement, and the plans of
 * functions stay in the session until DISCARD PLANS.
 *
 * The current rights and policies are read in the same snapshot, and compared with those that the queries were made from.
 * @param verdicts is filled as results arrive, so that results survive a lost connection
 * @throws LockedOut, StatementsLost, or the error that ended the connection
 */
export async function runBatch(
  client: pg.PoolClient,
  batch: Batch,
  memory: BatchMemory,
  verdicts: Map<string, Visibility>,
): Promise<void> {
  if (await askAtOnce(client, batch, memory, verdicts)) return
  const { rights, prepared, usable } = memory
  await client.query(`${begin(batch.budget)}; savepoint listenql`)
  const roles = rolesOf(batch)
  const found = await readRights(client, batch.table, roles, usable, prepared)
  for (const [role, one] of found) {
    if ('text' in one && one.text !== undefined) rights.set(role, one.text)
    else rights.delete(role)
  }
  const plan = batchPlanOf(batch, found, memory)
  await client.query(`set local statement_timeout = ${batch.toPrepare}; savepoint listenql`)
  const refused = await prepareAll(client, plan, memory)
  await client.query(CLEAN)
  const able: BatchPlan = {
    ...plan,
    settled: new Map([...plan.settled, ...refused]),
    asked: plan.asked.filter(({ viewer }) => !refused.has(viewer.key)),
  }
  await askAll(client, able, memory, handOver(able), verdicts)
}

/** In one round trip, if everything that it needs is cached. False: it is not, or the rights have changed; no verdict was taken. */
async function askAtOnce(
  client: pg.PoolClient,
  batch: Batch,
  memory: BatchMemory,
  verdicts: Map<string, Visibility>,
): Promise<boolean> {
  const { rights, prepared, readers } = memory
  const known = new Map<string, FoundRights>()
  const reads: string[] = []
  for (const role of rolesOf(batch)) {
    const text = rights.get(role)
    const settings = text && usableOf(memory.usable, role, (JSON.parse(text) as RowRights).settings)
    if (text === undefined || !settings || !prepared.has(client, RIGHTS, role)) return false
    known.set(role, { text })
    reads.push(readRightsSql(batch.table, role, settings, prepared))
  }
  const plan = batchPlanOf(batch, known, memory)
  const isReady = ({ query, viewer: { role } }: ViewerQuery) =>
    readers.has(readerKey(role, query)) &&
    (!isShared(role, query, memory) || prepared.has(client, query.text, role))
  if (!plan.asked.every(isReady)) return false
  const head = `${begin(batch.budget)}; savepoint listenql; ${reads.join('; ')}; ${handOver(plan)}`
  const expected = [...known.values()].map(one => ('text' in one ? one.text : undefined))
  return askAll(client, plan, memory, head, verdicts, read => isSame(read, expected))
}

function rolesOf({ viewers }: Batch): string[] {
  return [...new Set(viewers.map(({ role }) => role))]
}

function isSame(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i])
}

function batchPlanOf(
  batch: Batch,
  rights: ReadonlyMap<string, FoundRights>,
  { planPolicies }: BatchMemory,
): BatchPlan {
  const settled = new Map<string, Visibility>()
  const asked: ViewerQuery[] = []
  for (const viewer of batch.viewers) {
    const found = rights.get(viewer.role) as FoundRights
    const plan =
      'error' in found
        ? ({ kind: 'refused', error: found.error } as const)
        : planPolicies(batch.table, found.text)
    if (plan.kind === 'refused') settled.set(viewer.key, plan.error)
    else if (plan.kind === 'asked' && plan.mayReadToken && viewer.isShortened)
      settled.set(viewer.key, tokensMatterMeanwhile(batch.table))
    else if (plan.kind === 'asked') asked.push({ viewer, query: plan })
    else
      settled.set(
        viewer.key,
        batch.images.map(() => plan.kind === 'all'),
      )
  }
  const queries = new Set(asked.map(({ query }) => query))
  const columns = new Set([...queries].flatMap(query => query.columns ?? []))
  const isWhole = [...queries].some(query => query.columns === undefined)
  return {
    batch,
    settled,
    asked,
    some: encodeImages([...columns], batch.images),
    whole: isWhole ? encodeImages(batch.table.columns, batch.images) : undefined,
  }
}

function handOver({ batch, some, whole }: BatchPlan): string {
  const timeouts = `set local statement_timeout = ${batch.budget}`
  const wholes = whole ? `; set local ${WHOLE_IMAGES} = ${quoteLiteral(whole.text)}` : ''
  return `${timeouts}; set local ${IMAGES} = ${quoteLiteral(some.text)}${wholes}; savepoint listenql`
}

/** Prepares the statements. @returns the errors of those that Postgres refuses, by viewer */
async function prepareAll(
  client: pg.PoolClient,
  plan: BatchPlan,
  memory: BatchMemory,
): Promise<Map<string, ListenqlError>> {
  const refused = new Map<string, ListenqlError>()
  const seen = new Map<string, ListenqlError | undefined>()
  for (const { viewer, query } of plan.asked) {
    const { key, role } = viewer
    if (!seen.has(role)) {
      const settings = settingsOf(role, query, memory)
      seen.set(role, await preparePolicyQuery(client, plan.batch.table, role, query, settings, memory))
    }
    const error = seen.get(role)
    if (error) refused.set(key, error)
  }
  return refused
}

/** Whether the query stays prepared. If another role had to parse it, Postgres could not parse it again after a change. */
function isShared(role: string, query: PolicyQuery, { readers }: BatchMemory): boolean {
  return query.isShareable && readers.get(readerKey(role, query)) === undefined
}

/** Settings of the role's statements; where another role parses them, with a search_path that both roles resolve alike. */
function settingsOf(
  role: string,
  query: PolicyQuery,
  { usable, readers }: BatchMemory,
): readonly RoleSetting[] {
  const settings = usableOf(usable, role, query.settings) ?? []
  if (readers.get(readerKey(role, query)) === undefined) return settings
  return [...settings, schemasSetting(query.schemas)]
}

function enterSql(role: string, query: PolicyQuery, memory: BatchMemory): string {
  const settings = settingsOf(role, query, memory)
  const set = settings.length > 0 ? `; ${takeSettingsSql(settings)}` : ''
  // The statements of functions choose their own plans; this query has one generic plan or none.
  const plans = isShared(role, query, memory) ? '' : '; set local plan_cache_mode = auto'
  return `${CLEAN}; ${takeRoleSql(role)}${set}${plans}; savepoint listenql_role`
}

function askSql({ viewer: { role }, query }: ViewerQuery, number: number, memory: BatchMemory): string {
  if (isShared(role, query, memory)) return memory.prepared.execute(query.text, [String(number)], role)
  const reader = memory.readers.get(readerKey(role, query))
  if (reader === undefined) return query.literal(number)
  return `${takeReaderSql(reader)}; prepare "${ONCE}" ${POLICY_QUERY_PARAMETERS} as ${query.text}; ${takeRoleSql(role)};
    execute "${ONCE}"(${number}); deallocate "${ONCE}"`
}

/** Session-level locks that a function has taken would outlive the transaction. */
const UNLOCK = 'select null, null, pg_catalog.pg_advisory_unlock_all()'

/** @returns false: the rights have changed or could not be read, and no result counts */
async function askAll(
  client: pg.PoolClient,
  { batch, settled, asked, some, whole }: BatchPlan,
  memory: BatchMemory,
  begin: string,
  verdicts: Map<string, Visibility>,
  isCurrent?: (rights: readonly string[]) => boolean,
): Promise<boolean> {
  const { prepared } = memory
  const { relid } = batch.table
  const read: string[] = []
  /** Whether the scans have to be counted, because the text of a policy does not show what it reads. */
  const watches = ({ viewer: { role }, query }: ViewerQuery) =>
    !query.isShareable && !memory.selfReading.has(selfKey(batch.table, role))
  let scans: number | undefined
  const unlock = asked.some(({ viewer, query }) => !isShared(viewer.role, query, memory)) ? `; ${UNLOCK}` : ''
  let head = begin
  for (let at = 0; ; at++) {
    const firstWatched = asked.slice(at).findIndex(watches)
    const statements = asked.slice(at).map((one, i, all) => {
      const { viewer, query } = one
      const enter =
        viewer.role === all[i - 1]?.viewer.role ? CLEAN_CLAIMS : enterSql(viewer.role, query, memory)
      const discard = isShared(viewer.role, query, memory) ? '' : 'discard plans; '
      const isWatched = watches(one)
      const before = scans === undefined && i === firstWatched ? `; ${scansSql(relid, -1)}` : ''
      // Once for each role: it takes as long as the query of one viewer.
      const after = isWatched && viewer.role !== all[i + 1]?.viewer.role ? `; ${scansSql(relid, at + i)}` : ''
      return `${before}; ${enter}; ${discard}${takeClaimsSql(viewer.claims)}; ${askSql(one, at + i, memory)}${after}`
    })
    const answers: (readonly [number, string])[] = []
    const take = (row: readonly unknown[]) => {
      if (row[0] === SCANS) {
        const [, number, count] = row.map(Number) as [number, number, number]
        if (number >= 0 && scans !== undefined && count > scans)
          memory.selfReading.add(selfKey(batch.table, (asked[number] as ViewerQuery).viewer.role))
        scans = count
      } else if (row.length === 1) read.push(String(row[0]))
      else if (row.length === 2) answers.push([Number(row[0]), row[1] === null ? '' : String(row[1])])
    }
    let failure: unknown
    try {
      const text = `${head}${statements.join('')}; ${CLEAN}${unlock}; ${prepared.end(client, 'commit')}`
      await runSeveral(client, text, OWN_STATEMENT_TIMEOUT_MS + SILENCE_GRACE_MS, take)
    } catch (error) {
      if (!isStatementError(error)) throw error
      failure = error
    }
    if (at === 0 && isCurrent?.(read) === false) {
      if (failure === undefined) return false
      await recover(client, failure, prepared)
      return false
    }
    if (at === 0) for (const [key, verdict] of settled) verdicts.set(key, verdict)
    for (const [i, answer] of answers) {
      const { viewer, query } = asked[i] as ViewerQuery
      const { counts } = query.columns ? some : (whole as EncodedImages)
      const columns = query.columns ?? batch.table.columns
      const verdict = decodeVerdicts(answer, counts)
      verdicts.set(
        viewer.key,
        verdict.map((isVisible, j) => isVisible && isDecidable(batch.images[j] as RowImage, columns)),
      )
    }
    if (failure === undefined) {
      prepared.ended(client)
      return true
    }
    at += answers.length
    const failed = asked[at]
    if (!failed) throw failure
    // Earlier viewers of the same role have their result, but the scans of their queries are not counted yet.
    const count = watches(failed) ? `; ${scansSql(relid, at)}` : ''
    if (isStatementLost(failure)) {
      await runSeveral(client, `${CLEAN}${count}`, OWN_STATEMENT_TIMEOUT_MS + SILENCE_GRACE_MS, take)
      await recover(client, failure, prepared)
      throw new StatementsLost('prepared statements were dropped', { cause: failure })
    }
    const clean = `${CLEAN}${dropOnce(client, failed, memory)}${count}`
    if (batch.onSlow && isTimeout(failure)) {
      batch.onSlow(failed.viewer.key)
      await runSeveral(client, clean, OWN_STATEMENT_TIMEOUT_MS + SILENCE_GRACE_MS, take)
      await rollBack(client, prepared)
      return true
    }
    if (isLocked(failure)) {
      await runSeveral(client, clean, OWN_STATEMENT_TIMEOUT_MS + SILENCE_GRACE_MS, take)
      await recover(client, failure, prepared)
    }
    verdicts.set(failed.viewer.key, explain(batch, failed, failure, memory))
    head = clean
  }
}

/** A function that a policy calls, or another client of a pooler, has dropped the prepared statement. */
function isStatementLost(error: unknown): boolean {
  return hasSqlState(error, SQL_STATE.invalidSqlStatementName)
}

function isLocked(error: unknown): boolean {
  return hasSqlState(error, SQL_STATE.lockNotAvailable)
}

/**
 * Ends a transaction after an error.
 * @throws LockedOut if a lock was in the way
 */
async function recover(client: pg.PoolClient, failure: unknown, prepared: Prepared): Promise<void> {
  if (isStatementLost(failure)) prepared.forget(client)
  await rollBack(client, prepared)
  if (isLocked(failure)) throw new LockedOut('a lock is in the way', { cause: failure })
}

/** After an error the statement cannot be dropped by name, since it may not exist. */
function dropOnce(
  client: pg.PoolClient,
  { viewer, query }: ViewerQuery,
  { prepared, readers }: BatchMemory,
): string {
  if (readers.get(readerKey(viewer.role, query)) === undefined) return ''
  prepared.forget(client)
  return '; deallocate all'
}

function explain(
  { table, budget }: Batch,
  { viewer: { role }, query }: ViewerQuery,
  error: unknown,
  { readers }: BatchMemory,
): ListenqlError {
  if (hasSqlState(error, SQL_STATE.queryCanceled)) return policiesTooSlow(table, budget, error)
  // Below the policies of another table Postgres parses a statement again as the role that executes it.
  if (
    hasSqlState(error, SQL_STATE.insufficientPrivilege) &&
    readers.get(readerKey(role, query)) !== undefined
  )
    return outOfReach(
      table,
      query.policies.map(({ name }) => name).join(', '),
      messageOf(error),
      `role ${role}`,
      error,
    )
  return policiesFailed(table, error)
}
