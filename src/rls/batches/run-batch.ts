// Evaluates the policies of one table on images for many viewers, in one transaction and, once everything is prepared, one round
// trip. The rights and policies are read in the same snapshot, and compared with those that the queries were made from.
import type pg from 'pg'
import type { ListenqlError } from '../../lib/errors.js'
import { preparePolicyQuery, readerKey } from '../policy-prepare.js'
import { beginSql, CLEAN } from '../policy-transaction.js'
import { readRights } from '../role-rights.js'
import type { Visibility } from '../visibility.js'
import type { BatchMemory } from './batch-memory.js'
import { askViewers } from './batch-message.js'
import { type AskedViewer, type Batch, type BatchPlan, planBatch } from './batch-plan.js'
import { handOverSql, isShared, settingsOf } from './batch-sql.js'
import { knownRightsSql, rememberRights } from './known-rights-sql.js'

/**
 * @param verdicts is filled as results arrive, so that results survive a lost connection
 * @throws LockedOut, StatementsLost, or the error that ended the connection
 */
export async function runBatch(
  client: pg.PoolClient,
  batch: Batch,
  memory: BatchMemory,
  verdicts: Map<string, Visibility>,
): Promise<void> {
  memory.trim()
  if (await runPrepared(client, batch, memory, verdicts)) return
  await client.query(beginSql(batch.budget))
  const found = await readRights(client, batch.table, rolesOf(batch), memory.usable, memory.prepared)
  rememberRights(memory, batch.table, found)
  const plan = planBatch(batch, found, memory.planPolicies)
  await client.query(`set local statement_timeout = ${batch.toPrepare}; savepoint listenql`)
  const refused = await prepareAll(client, plan, memory)
  await client.query(CLEAN)
  const ready: BatchPlan = {
    ...plan,
    settled: new Map([...plan.settled, ...refused]),
    asked: plan.asked.filter(({ viewer }) => !refused.has(viewer.key)),
  }
  await askViewers(client, ready, memory, handOverSql(ready), verdicts)
}

/** One round trip, if everything that it needs is cached. @returns false: it is not, or the rights have changed; no answer counts */
async function runPrepared(
  client: pg.PoolClient,
  batch: Batch,
  memory: BatchMemory,
  verdicts: Map<string, Visibility>,
): Promise<boolean> {
  const { prepared, readers } = memory
  const rights = knownRightsSql(client, batch.table, rolesOf(batch), memory)
  if (!rights) return false
  const plan = planBatch(batch, rights.known, memory.planPolicies)
  const isReady = ({ query, viewer: { role } }: AskedViewer) =>
    readers.has(readerKey(role, query)) &&
    (!isShared(role, query, memory) || prepared.has(client, query.text, role))
  if (!plan.asked.every(isReady)) return false
  const head = `${beginSql(batch.budget)}; ${rights.sql}; ${handOverSql(plan)}`
  return askViewers(client, plan, memory, head, verdicts, rights.areCurrent)
}

function rolesOf({ viewers }: Batch): string[] {
  return [...new Set(viewers.map(({ role }) => role))]
}

/** Prepares the statements. @returns the errors of those that Postgres refuses, by viewer */
async function prepareAll(
  client: pg.PoolClient,
  plan: BatchPlan,
  memory: BatchMemory,
): Promise<Map<string, ListenqlError>> {
  const refused = new Map<string, ListenqlError>()
  const errors = new Map<string, ListenqlError | undefined>()
  for (const { viewer, query } of plan.asked) {
    const { key, role } = viewer
    if (!errors.has(role)) {
      const settings = settingsOf(role, query, memory)
      errors.set(role, await preparePolicyQuery(client, plan.batch.table, role, query, settings, memory))
    }
    const error = errors.get(role)
    if (error) refused.set(key, error)
  }
  return refused
}
