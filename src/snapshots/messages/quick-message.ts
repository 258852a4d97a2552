import { endOfBatch, type Position } from '../../log/position.js'
import { PIN_PATIENCE, PIN_SETTINGS, PIN_VIEWS } from '../../postgres/pinned-settings.js'
import type { StatementRows } from '../../postgres/statements/multi-statement.js'
import { securedMeanwhile } from '../../rls/access-errors.js'
import { takeRoleSql } from '../../rls/become.js'
import type { ReadLimits } from '../read-limits.js'
import { outcomeOf } from '../read-outcome.js'
import type { Outcome } from '../snapshot-jobs.js'
import type { SnapshotQuery } from '../snapshot-query.js'
import { securedNowSql, type TableNow, tablesNowOf } from '../table-now.js'
import { imagesOf, Message } from './message.js'

/**
 * Longest that Postgres may work on all reads, on one of many, and wait for one lock, in ms: meanwhile, other sessions cannot advance the
 * ledger.
 */
const READS_MS = 250
const STATEMENT_MS = 10
const LOCK_MS = 10

/** A read may take at least this many times as long as it is expected to. */
const PATIENCE_FACTOR = 4

/** The shortest time that a read counts with, in ms. */
const MIN_EXPECTED_MS = 0.1

const NOW = 'pg_catalog.date_part($$epoch$$, pg_catalog.clock_timestamp())'

export interface QuickRead {
  readonly query: SnapshotQuery
  /** How long the read is expected to take, in ms. */
  readonly expected: number
  /** An EXECUTE that returns images. */
  readonly sql: string
}

export interface QuickResult {
  readonly position: Position
  /** By the keys of the queries. */
  readonly outcomes: ReadonlyMap<string, Outcome>
  /**
   * By the keys of the queries, in ms: the time of all reads, in the proportions that were expected. Their mean would hide the slow one
   * among them, which would then get too little time in the next message.
   */
  readonly durations: ReadonlyMap<string, number>
}

export interface QuickMessage {
  readonly sql: string
  resultOf(results: readonly StatementRows[]): QuickResult
}

/**
 * A transaction that cuts and reads, in one message.
 * @param tablesNow an EXECUTE of TABLES_NOW for all tables of the reads
 */
export function quickMessage(
  reads: readonly QuickRead[],
  tablesNow: string,
  limits: ReadLimits,
): QuickMessage {
  const message = new Message()
  const images = new Map<SnapshotQuery, StatementRows>()
  const secured = new Map<string | undefined, StatementRows>()
  let cut: StatementRows
  let read: StatementRows
  let now: StatementRows

  message.run(
    `begin isolation level repeatable read read write; ${PIN_SETTINGS}; ${PIN_PATIENCE}; set local statement_timeout = ${limits.queryTimeout}`,
  )
  message.ask(`select n, token, ${NOW} as time from listenql.cut()`, rows => {
    cut = rows
  })
  // Policies may apply since the read was chosen: their functions, which are code of others, must not write here.
  message.run('set transaction read only')
  message.ask(PIN_VIEWS)
  const most = Math.max(STATEMENT_MS, Math.ceil(READS_MS / reads.length))
  let limit: number | undefined
  /** @param expected how long the next statements are expected to take, in ms */
  function limitTime(expected = 0): void {
    const next = Math.max(most, Math.ceil(PATIENCE_FACTOR * expected))
    if (next !== limit) message.run(`set local statement_timeout = ${next}`)
    limit = next
  }
  limitTime()
  message.run(`set local lock_timeout = ${LOCK_MS}`)
  for (const role of new Set(reads.map(({ query }) => query.viewer?.role))) {
    const ofRole = reads.filter(({ query }) => query.viewer?.role === role)
    if (role !== undefined) message.run(takeRoleSql(role))
    for (const { query, expected, sql } of ofRole) {
      limitTime(expected)
      message.ask(sql, rows => void images.set(query, rows))
    }
    limitTime()
    if (role === undefined) continue
    const relids = new Set(ofRole.flatMap(({ query }) => [...query.plan.tables.keys()]))
    message.ask(securedNowSql(`'{${[...relids].join(',')}}'`), rows => void secured.set(role, rows))
    message.run('set local role none') // only the server's login may read listenql.watched
  }
  message.ask(`select ${NOW} as time`, rows => {
    read = rows
  })
  message.ask(tablesNow, rows => {
    now = rows
  })
  // A time limit that passes during COMMIT ends the wait for a synchronous standby, and the batch could be lost in a failover.
  message.run(`set local statement_timeout = ${limits.queryTimeout}; commit`)

  function outcome({ query }: QuickRead): Outcome {
    const tables = [...query.plan.tables.values()]
    const policied = tables.find(({ relid }) =>
      secured.get(query.viewer?.role)?.some(row => row.relid === relid),
    )
    if (policied) return { kind: 'failed', error: securedMeanwhile(policied) }
    const state = tablesNowOf(tables, now as unknown as TableNow[])
    return outcomeOf(query, imagesOf(images.get(query)), state, limits)
  }
  const weight = reads.reduce((sum, one) => sum + weightOf(one), 0)
  return {
    sql: message.sql,
    resultOf(results) {
      message.take(results)
      const [{ n, token, time: begin }] = cut as unknown as [{ n: string; token: string; time: number }]
      const [{ time: end }] = read as unknown as [{ time: number }]
      return {
        position: endOfBatch({ n: Number(n), token: Number(token) }),
        outcomes: new Map(reads.map(one => [one.query.key, outcome(one)])),
        durations: new Map(
          reads.map(one => [one.query.key, (1000 * (end - begin) * weightOf(one)) / weight]),
        ),
      }
    },
  }
}

function weightOf({ expected }: QuickRead): number {
  return Math.max(MIN_EXPECTED_MS, expected)
}
