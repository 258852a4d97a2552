import { qualified } from '../../plan/plan-names.js'
import type { StatementRows } from '../../postgres/statements/multi-statement.js'
import { becomeSql, takeRoleSql } from '../../rls/become.js'
import type { RoleSetting } from '../../rls/role-settings.js'
import type { ReadLimits } from '../read-limits.js'
import { outcomeOf } from '../read-outcome.js'
import { SAVEPOINT } from '../snapshot-cut.js'
import type { Outcome } from '../snapshot-jobs.js'
import type { SnapshotQuery, SnapshotReaderRole } from '../snapshot-query.js'
import { type TableNow, tablesNowOf } from '../table-now.js'
import { imagesOf, Message } from './message.js'

/** The name of the statement that each viewer parses and executes once. */
const ONCE = '"listenql once"'

/** Longest that one statement may take, in ms: all clients of the message wait for it. Reads that take longer are read one by one. */
const STATEMENT_MS = 500

/** What one viewer has set is undone to here; the locks from before stay. */
const VIEWER_SAVEPOINT = 'listenql_viewer'

export interface SecuredRead {
  readonly query: SnapshotQuery
  readonly viewer: SnapshotReaderRole
  /** The role's settings that a session can apply. */
  readonly settings: readonly RoleSetting[]
  /** A query that returns images, and its parameters as SQL. */
  readonly text: string
  readonly literals: readonly string[]
}

export interface SecuredMessage {
  readonly sql: string
  /** The outcomes of the reads, in their order. */
  outcomesOf(results: readonly StatementRows[]): readonly Outcome[]
}

/**
 * Reads of several viewers under row-level security, in one message, in a transaction with SAVEPOINT. Each is undone before the next, so
 * that no viewer has what the functions of policies have set for another. The tables are locked until all are read, so that they are
 * checked once: without plans, which are discarded for each viewer, the check takes as long as several reads.
 * @param tablesNow an EXECUTE of SECURED_TABLES_NOW for all tables of the reads
 */
export function securedMessage(
  reads: readonly SecuredRead[],
  tablesNow: string,
  limits: ReadLimits,
): SecuredMessage {
  const message = new Message()
  const images = new Map<SecuredRead, StatementRows>()
  let now: StatementRows
  message.run(`set local statement_timeout = ${Math.min(STATEMENT_MS, limits.queryTimeout)}`)
  lock(message, reads)
  message.run(`savepoint ${VIEWER_SAVEPOINT}`)
  for (const read of reads) {
    const { viewer, settings, text, literals } = read
    const become = becomeSql(viewer.role, settings, viewer.claims)
    if (settings.length > 0) message.ask(become)
    else message.run(become)
    message.run(`prepare ${ONCE} as ${text}`)
    const parameters = literals.length > 0 ? `(${literals.join(', ')})` : ''
    message.ask(`execute ${ONCE}${parameters}`, rows => void images.set(read, rows))
    message.run(`deallocate ${ONCE}; rollback to savepoint ${VIEWER_SAVEPOINT}`)
  }
  message.ask(tablesNow, rows => {
    now = rows
  })
  message.run(`rollback to savepoint ${SAVEPOINT}`)
  return {
    sql: message.sql,
    outcomesOf(results) {
      message.take(results)
      return reads.map(read => {
        const tables = [...read.query.plan.tables.values()]
        const state = tablesNowOf(tables, now as unknown as TableNow[])
        return outcomeOf(read.query, imagesOf(images.get(read)), state, limits)
      })
    },
  }
}

/**
 * Locks the tables, under the roles that may use their schemas. PREPARE locks what it names until the transaction ends
 * (https://www.postgresql.org/docs/current/sql-prepare.html), and plans nothing: a planner calls functions of policies that are not
 * volatile, which must not run before the claims of a viewer are set, and what they set would reach each viewer.
 */
function lock(message: Message, reads: readonly SecuredRead[]): void {
  for (const role of new Set(reads.map(({ viewer }) => viewer.role))) {
    const tables = new Set(
      reads
        .filter(({ viewer }) => viewer.role === role)
        .flatMap(({ query }) => [...query.plan.tables.values()]),
    )
    message.run(takeRoleSql(role))
    for (const table of tables)
      message.run(`prepare ${ONCE} as select from ${qualified(table)}; deallocate ${ONCE}`)
    message.run('set local role none')
  }
}
