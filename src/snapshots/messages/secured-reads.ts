import type pg from 'pg'
import { quoteLiteral } from '../../postgres/quote-literal.js'
import { isStatementError } from '../../postgres/sql-state.js'
import { collectSeveral } from '../../postgres/statements/multi-statement.js'
import { createPrepared } from '../../postgres/statements/prepared.js'
import { readSettings, type UsableSettings } from '../../rls/role-rights.js'
import type { PlanCompiler } from '../plan-compiler.js'
import { messageBytes, type ReadLimits, SILENCE_GRACE_MS } from '../read-limits.js'
import { SAVEPOINT } from '../snapshot-cut.js'
import { limitedSql } from '../snapshot-images.js'
import type { Outcome } from '../snapshot-jobs.js'
import type { SnapshotQuery } from '../snapshot-query.js'
import type { StatementNames } from '../statement-names.js'
import { SECURED_TABLES_NOW, tablesParameter } from '../table-now.js'
import { literalOf } from './read-statement.js'
import { type SecuredRead, securedMessage } from './secured-message.js'

/** Reads plans under row-level security, many in one message, in transactions that `importSnapshot` has begun. */
export interface SecuredReads {
  /**
   * The transaction is the same afterwards, without locks.
   * @returns the outcomes, in the order of the queries; undefined: Postgres has refused one of them, or they are too large together, so
   * read them one by one
   * @throws the error that ended the connection
   */
  read(client: pg.ClientBase, queries: readonly SnapshotQuery[]): Promise<readonly Outcome[] | undefined>
}

export function createSecuredReads(
  limits: ReadLimits,
  compiler: PlanCompiler,
  names: StatementNames,
): SecuredReads {
  const prepared = createPrepared(true)
  const usable: UsableSettings = new Map()

  async function readOf(client: pg.ClientBase, query: SnapshotQuery): Promise<SecuredRead> {
    const { viewer } = query
    if (!viewer) throw new TypeError('a query without a viewer')
    const { text, values } = limitedSql(await compiler.compile(client, query), limits.maxBytes)
    return {
      query,
      viewer,
      settings: await readSettings(client, viewer.role, usable),
      text,
      literals: values.map(literalOf),
    }
  }

  return {
    async read(client, queries) {
      names.distrust(client)
      try {
        await prepared.provide(client, SECURED_TABLES_NOW, '')
        const reads: SecuredRead[] = []
        for (const query of queries) reads.push(await readOf(client, query))
        const tables = new Set(queries.flatMap(({ plan }) => [...plan.tables.values()]))
        const tablesNow = prepared.execute(SECURED_TABLES_NOW, [quoteLiteral(tablesParameter([...tables]))])
        const { sql, outcomesOf } = securedMessage(reads, tablesNow, limits)
        const silence = limits.queryTimeout + SILENCE_GRACE_MS
        const results = await collectSeveral(client, sql, silence, limits.maxBytes, messageBytes(limits))
        return results && outcomesOf(results)
      } catch (error) {
        if (!isStatementError(error)) throw error
        // Functions of policies may have dropped statements, and a refused message has not dropped its own.
        prepared.forget(client)
        await client.query(`rollback to savepoint ${SAVEPOINT}; deallocate all`)
        return undefined
      }
    },
  }
}
