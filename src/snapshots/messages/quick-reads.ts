import type pg from 'pg'
import type { WatchedTable } from '../../catalog/watched-table.js'
import { PIN_SETTINGS } from '../../postgres/pinned-settings.js'
import { quoteLiteral } from '../../postgres/quote-literal.js'
import { hasSqlState, isConflict, isStatementError, SQL_STATE } from '../../postgres/sql-state.js'
import { collectSeveral } from '../../postgres/statements/multi-statement.js'
import type { Prepared } from '../../postgres/statements/prepared.js'
import { databaseEncoding } from '../../postgres/text-encoding.js'
import type { PlanCompiler } from '../plan-compiler.js'
import { messageBytes, type ReadLimits, SILENCE_GRACE_MS } from '../read-limits.js'
import { limitedSql } from '../snapshot-images.js'
import { countWithin, expectedOf, type Work } from '../snapshot-jobs.js'
import { TABLES_NOW, tablesParameter } from '../table-now.js'
import { type QuickRead, type QuickResult, quickMessage } from './quick-message.js'
import { literalOf } from './read-statement.js'

/** Most reads in one message, and longest that they are expected to take, in ms. */
const MAX_READS = 50
const BUDGET_MS = 50

/** Longest wait for a lock while a statement is prepared, in ms. */
const PREPARE_LOCK_MS = 50

/** Most texts that are remembered because Postgres has refused to prepare them. */
const MAX_REFUSED = 1000

/** Reads of one snapshot, by the keys of their queries. */
export type ChosenReads = ReadonlyMap<string, QuickRead>

/**
 * Cuts, and reads what is known to be read quickly, in one transaction and one message. That takes one round trip; to cut, export the
 * snapshot and read in another session takes nine. Until the transaction ends, other sessions cannot advance the ledger, so its
 * statements have short time limits.
 *
 * Queries under row-level security are left to other sessions: functions of policies are code of others, and this transaction may write.
 */
export interface QuickReads {
  /**
   * Chooses among works that wait, and prepares their statements in the session. No transaction is open before or after. Works that are
   * neither chosen nor unfit may be chosen the next time.
   */
  choose(
    client: pg.ClientBase,
    works: readonly Work[],
  ): Promise<{ readonly chosen: ChosenReads; readonly unfit: readonly Work[] }>
  /**
   * @param onTaking called right before the snapshot is taken, again if the cut has to be repeated
   * @returns undefined: the results are too large together, so read them one by one
   * @throws the error of Postgres, after which no transaction is open; or the error that ended the connection
   */
  read(client: pg.ClientBase, chosen: ChosenReads, onTaking: () => void): Promise<QuickResult | undefined>
}

export interface QuickReadsOptions {
  readonly limits: ReadLimits
  readonly compiler: PlanCompiler
  readonly prepared: Prepared
  /** Once it has aborted, a cut that has lost a race is not repeated. */
  readonly signal: AbortSignal
}

export function createQuickReads({ limits, compiler, prepared, signal }: QuickReadsOptions): QuickReads {
  const isUtf8 = new WeakMap<pg.ClientBase, boolean>()
  /** Sessions whose statements something else has dropped. */
  const distrusted = new WeakSet<pg.ClientBase>()
  const refused = new Set<string>()

  async function storesUtf8(client: pg.ClientBase): Promise<boolean> {
    const known = isUtf8.get(client)
    if (known !== undefined) return known
    const is = (await databaseEncoding(client)) === 'UTF8'
    isUtf8.set(client, is)
    return is
  }

  /** Prepares those that are not yet, and returns those that are. */
  async function prepare(client: pg.ClientBase, texts: readonly string[]): Promise<ReadonlySet<string>> {
    const has = (text: string) => prepared.has(client, text)
    if (prepared.isFull(client) && !texts.every(has)) {
      await client.query('deallocate all')
      prepared.forget(client)
    }
    const missing = [...new Set(texts)].filter(text => !has(text))
    if (missing.length > 0) {
      // The transaction ends with the first that Postgres refuses: the others must not have to wait for it each time.
      missing.sort((a, b) => Number(refused.has(a)) - Number(refused.has(b)))
      await client.query(`begin; ${PIN_SETTINGS}; set local lock_timeout = ${PREPARE_LOCK_MS}`)
      for (const text of missing) {
        try {
          await prepared.provide(client, text, '')
        } catch (error) {
          if (!isStatementError(error)) throw error
          if (refused.size >= MAX_REFUSED) refused.clear()
          refused.add(text)
          break
        }
      }
      await client.query('rollback')
    }
    return new Set(texts.filter(has))
  }

  return {
    async choose(client, works) {
      const chosen = new Map<string, QuickRead>()
      if (distrusted.has(client) || !(await storesUtf8(client))) return { chosen, unfit: works }
      const some = works.slice(0, Math.min(MAX_READS, countWithin(works, BUDGET_MS)))
      const reads = some.flatMap(work => {
        const { query } = work
        const sql = compiler.recompile(query)
        return sql ? [{ query, expected: expectedOf(work), ...limitedSql(sql, limits.maxBytes) }] : []
      })
      const ready = await prepare(client, [TABLES_NOW, ...reads.map(({ text }) => text)])
      for (const { query, expected, text, values } of reads)
        if (ready.has(text) && ready.has(TABLES_NOW))
          chosen.set(query.key, { query, expected, sql: prepared.execute(text, values.map(literalOf)) })
      return { chosen, unfit: some.filter(({ query }) => !chosen.has(query.key)) }
    },
    async read(client, chosen, onTaking) {
      const reads = [...chosen.values()]
      const tables = new Set<WatchedTable>(reads.flatMap(({ query }) => [...query.plan.tables.values()]))
      const tablesNow = prepared.execute(TABLES_NOW, [quoteLiteral(tablesParameter([...tables]))])
      const silence = limits.queryTimeout + SILENCE_GRACE_MS
      const { sql, resultOf } = quickMessage(reads, tablesNow, limits)
      for (;;) {
        try {
          onTaking()
          const results = await collectSeveral(client, sql, silence, limits.maxBytes, messageBytes(limits))
          return results && resultOf(results)
        } catch (error) {
          if (!isStatementError(error)) throw error

          if (hasSqlState(error, SQL_STATE.invalidSqlStatementName)) distrusted.add(client)
          await client.query('rollback')
          if (!isConflict(error) || signal.aborted) throw error
        }
      }
    },
  }
}
