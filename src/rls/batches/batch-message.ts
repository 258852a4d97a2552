// Asks all viewers of a batch in one message, and takes their answers as they arrive, so that none is lost with the connection. A
// viewer whose policies fail gets the error alone: the next message continues with the viewer after it.
import type pg from 'pg'
import { type ListenqlError, messageOf } from '../../lib/errors.js'
import { hasSqlState, isStatementError, isTimeout, SQL_STATE } from '../../postgres/sql-state.js'
import { runSeveral } from '../../postgres/statements/multi-statement.js'
import { outOfReach, policiesFailed, policiesTooSlow } from '../access-errors.js'
import { readerOf } from '../policy-prepare.js'
import { sourcesRewrittenSql } from '../policy-sources.js'
import {
  CLEAN,
  isLocked,
  isStatementLost,
  recover,
  rollBack,
  SourcesRewritten,
  StatementsLost,
} from '../policy-transaction.js'
import { SCANS, scansSql } from '../self-reading.js'
import type { Visibility } from '../visibility.js'
import { SILENCE_MS } from './batch-limits.js'
import type { BatchMemory } from './batch-memory.js'
import { type AskedViewer, type Batch, type BatchPlan, visibilityOf } from './batch-plan.js'
import { askSql, countsScans, leaveSql } from './batch-sql.js'

/** Marks the result that says whether tables were rewritten: the value of its first column, of four. */
const REWRITTEN = 'rewritten'

/**
 * Ends the transaction in any case.
 * @param head SQL before the first viewer's. Its rows of one column are the rights of the roles.
 * @param areCurrent receives these rights. If it returns false, or they could not be read, no answer counts.
 * @param verdicts is filled as results arrive; if policies may read tables, once it is known that the snapshot shows these tables
 * @returns false: no answer counts
 * @throws LockedOut, StatementsLost, SourcesRewritten, or the error that ended the connection
 */
export async function askViewers(
  client: pg.PoolClient,
  plan: BatchPlan,
  memory: BatchMemory,
  head: string,
  verdicts: Map<string, Visibility>,
  areCurrent?: (rights: readonly string[]) => boolean,
): Promise<boolean> {
  const { batch, settled, asked } = plan
  const { prepared, selfReading } = memory
  const { relid } = batch.table
  const rights: string[] = []
  // What policies have seen in other tables has to be checked before it counts.
  const found = asked.some(({ query }) => query.mayReadTables) ? new Map<string, Visibility>() : verdicts
  const check = found === verdicts ? '' : `; select '${REWRITTEN}', null, null, ${sourcesRewrittenSql(relid)}`
  const tail = `${leaveSql(plan, memory)}${check}`
  let isRewritten = false
  let scans: number | undefined
  /** How many viewers have an answer or an error. */
  let done = 0
  let answers: (readonly [number, string])[] = []

  const send = (text: string) =>
    runSeveral(client, text, SILENCE_MS, row => {
      if (row[0] === SCANS) {
        const [, number, count] = row.map(Number) as [number, number, number]
        if (number >= 0 && scans !== undefined && count > scans)
          selfReading.add(relid, (asked[number] as AskedViewer).viewer.role)
        scans = count
      } else if (row[0] === REWRITTEN) isRewritten = row[3] === true
      else if (row.length === 1) rights.push(String(row[0]))
      else if (row.length === 2) answers.push([Number(row[0]), row[1] === null ? '' : String(row[1])])
    })

  function conclude(): void {
    if (isRewritten) throw new SourcesRewritten('a table that policies read was rewritten meanwhile')
    for (const [key, verdict] of found) verdicts.set(key, verdict)
  }

  for (let isFirst = true, before = head; ; isFirst = false) {
    let failure: unknown
    answers = []
    try {
      const ask = askSql(plan, memory, done, scans !== undefined)
      await send(`${before}${ask}; ${tail}; ${prepared.end(client, 'commit')}`)
    } catch (error) {
      if (!isStatementError(error)) throw error
      failure = error
    }
    const failed = failure === undefined ? undefined : asked[done + answers.length]
    // A prepared statement outlives the transaction, and its name has to be free for the next one.
    const clean = failed ? `${CLEAN}${dropStatement(client, failed, memory)}` : CLEAN
    if (isFirst && areCurrent?.(rights) === false) {
      if (failure === undefined) return false
      await send(clean)
      await recover(client, prepared, failure)
      return false
    }
    if (isFirst) for (const [key, verdict] of settled) found.set(key, verdict)
    for (const [number, answer] of answers) {
      const { viewer, query } = asked[number] as AskedViewer
      found.set(viewer.key, visibilityOf(plan, query, answer))
    }
    if (failure === undefined) {
      prepared.ended(client)
      conclude()
      return true
    }
    done += answers.length
    if (!failed) throw failure
    // Earlier viewers of the same role have their result, but the scans of their queries are not counted yet.
    const count = countsScans(failed, relid, memory) ? `; ${scansSql(relid, done)}` : ''
    if (isStatementLost(failure)) {
      await send(`${clean}${count}`)
      await recover(client, prepared, failure)
      throw new StatementsLost('prepared statements were dropped', { cause: failure })
    }
    before = `${clean}${count}`
    if (batch.onSlow && isTimeout(failure)) {
      batch.onSlow(failed.viewer.key)
      await send(`${before}${check}`)
      await rollBack(client, prepared)
      conclude()
      return true
    }
    if (isLocked(failure)) {
      await send(before)
      await recover(client, prepared, failure)
    }
    found.set(failed.viewer.key, errorOf(batch, failed, failure, memory))
    done++
  }
}

/** SQL that drops the statement that another role parsed: all of them, since it may not exist after an error. */
function dropStatement(
  client: pg.PoolClient,
  { viewer, query }: AskedViewer,
  { prepared, readers }: BatchMemory,
): string {
  if (readerOf(readers, viewer.role, query) === undefined) return ''
  prepared.forget(client)
  return '; deallocate all'
}

function errorOf(
  { table, budget }: Batch,
  { viewer: { role }, query }: AskedViewer,
  error: unknown,
  { readers }: BatchMemory,
): ListenqlError {
  if (hasSqlState(error, SQL_STATE.queryCanceled)) return policiesTooSlow(table, budget, error)
  // Below the policies of another table Postgres parses a statement again as the role that executes it.
  if (hasSqlState(error, SQL_STATE.insufficientPrivilege) && readerOf(readers, role, query) !== undefined) {
    const policies = query.policies.map(({ name }) => name).join(', ')
    return outOfReach(table, policies, messageOf(error), `role ${role}`, error)
  }
  return policiesFailed(table, error)
}
