import { endOfBatch, type Position } from '../log/position.js'
import { PIN_PATIENCE, PIN_SETTINGS, PIN_VIEWS } from '../postgres/pinned-settings.js'
import type { StatementResult } from '../postgres/statements/message.js'
import { securedMeanwhile } from '../rls/access-errors.js'
import { takeRoleSql } from '../rls/become.js'
import type { ReadLimits } from './read-limits.js'
import { outcomeOf } from './read-outcome.js'
import type { Outcome } from './snapshot-jobs.js'
import type { SnapshotQuery } from './snapshot-query.js'
import { securedNowSql, type TableNow, tablesNowOf } from './table-now.js'

/** Longest that Postgres may work on one statement, and wait for one lock, in ms: meanwhile, other sessions cannot advance the ledger. */
const STATEMENT_MS = 50
const LOCK_MS = 10

const NOW = 'pg_catalog.date_part($$epoch$$, pg_catalog.clock_timestamp())'

export interface QuickRead {
  readonly query: SnapshotQuery
  /** An EXECUTE that returns images. */
  readonly sql: string
}

export interface QuickResult {
  readonly position: Position
  /** By the keys of the queries. */
  readonly outcomes: ReadonlyMap<string, Outcome>
  /** The mean time of one read, in ms. */
  readonly duration: number
}

export interface QuickMessage {
  readonly sql: string
  /** @param results of the statements that return columns, in their order */
  resultOf(results: readonly StatementResult[]): QuickResult
}

type Rows = StatementResult['rows']

/**
 * A transaction that cuts and reads, in one message.
 * @param tablesNow an EXECUTE of TABLES_NOW for all tables of the reads
 */
export function quickMessage(
  reads: readonly QuickRead[],
  tablesNow: string,
  limits: ReadLimits,
): QuickMessage {
  const statements: string[] = []
  const takers: ((rows: Rows) => void)[] = []
  const images = new Map<SnapshotQuery, Rows>()
  const secured = new Map<string | undefined, Rows>()
  let cut: Rows
  let read: Rows
  let now: Rows
  function ask(sql: string, take: (rows: Rows) => void): void {
    statements.push(sql)
    takers.push(take)
  }

  statements.push(
    `begin isolation level repeatable read read write; ${PIN_SETTINGS}; ${PIN_PATIENCE}; set local statement_timeout = ${limits.queryTimeout}`,
  )
  ask(`select n, token, ${NOW} as time from listenql.cut()`, rows => {
    cut = rows
  })
  ask(PIN_VIEWS, () => undefined)
  statements.push(`set local statement_timeout = ${STATEMENT_MS}; set local lock_timeout = ${LOCK_MS}`)
  for (const role of new Set(reads.map(({ query }) => query.viewer?.role))) {
    const ofRole = reads.filter(({ query }) => query.viewer?.role === role)
    if (role !== undefined) statements.push(takeRoleSql(role))
    for (const { query, sql } of ofRole) ask(sql, rows => void images.set(query, rows))
    if (role === undefined) continue
    const relids = new Set(ofRole.flatMap(({ query }) => [...query.plan.tables.keys()]))
    ask(securedNowSql(`'{${[...relids].join(',')}}'`), rows => void secured.set(role, rows))
    statements.push('set local role none') // only the server's login may read listenql.watched
  }
  ask(`select ${NOW} as time`, rows => {
    read = rows
  })
  ask(tablesNow, rows => {
    now = rows
  })
  statements.push('commit')

  function outcome({ query }: QuickRead): Outcome {
    const tables = [...query.plan.tables.values()]
    const policied = tables.find(({ relid }) =>
      secured.get(query.viewer?.role)?.some(row => row.relid === relid),
    )
    if (policied) return { kind: 'failed', error: securedMeanwhile(policied) }
    const found = images.get(query)
    // Postgres returns NULL for an image that is too large by itself.
    const texts = found?.every(({ image }) => image !== null)
      ? found.map(({ image }) => image as string)
      : undefined
    return outcomeOf(query, texts, tablesNowOf(tables, now as unknown as TableNow[]), limits)
  }
  return {
    sql: statements.join('; '),
    resultOf(results) {
      takers.forEach((take, i) => {
        take(results[i]?.rows)
      })
      const [{ n, token, time: begin }] = cut as [{ n: string; token: string; time: number }]
      const [{ time: end }] = read as [{ time: number }]
      return {
        position: endOfBatch({ n: Number(n), token: Number(token) }),
        outcomes: new Map(reads.map(one => [one.query.key, outcome(one)])),
        duration: (1000 * (end - begin)) / reads.length,
      }
    },
  }
}
