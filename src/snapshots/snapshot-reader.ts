import type pg from 'pg'
import { PIN_SETTINGS } from '../postgres/pinned-settings.js'
import { socketOf } from '../postgres/socket.js'
import { hasSqlState, isEncodingError, isStatementError, SQL_STATE } from '../postgres/sql-state.js'
import { securedMeanwhile } from '../rls/access-errors.js'
import { becomeSql, takeRoleSql } from '../rls/become.js'
import { readSettings, type UsableSettings } from '../rls/role-rights.js'
import type { PlanCompiler } from './plan-compiler.js'
import { explainFailure } from './read-failure.js'
import { type ReadLimits, SILENCE_GRACE_MS } from './read-limits.js'
import { outcomeOf } from './read-outcome.js'
import { SAVEPOINT } from './snapshot-cut.js'
import { notRead } from './snapshot-errors.js'
import { type ReadImages, readMended, readTexts } from './snapshot-images.js'
import type { Outcome } from './snapshot-jobs.js'
import type { SnapshotQuery } from './snapshot-query.js'
import type { StatementNames } from './statement-names.js'
import { findSecured, readTablesNow } from './table-now.js'

/** Reads plans in transactions that `importSnapshot` (or `beginCut`, and a savepoint) has begun. */
export interface SnapshotReader {
  /**
   * The transaction is the same afterwards, without locks.
   * @throws the error that ended the connection, which is unusable then
   */
  read(client: pg.Client, query: SnapshotQuery): Promise<Outcome>
}

/** @param names of the statements that stay prepared */
export function createSnapshotReader(
  limits: ReadLimits,
  compiler: PlanCompiler,
  names: StatementNames,
): SnapshotReader {
  const { queryTimeout } = limits
  const usable: UsableSettings = new Map()

  async function attempt(client: pg.Client, query: SnapshotQuery, readImages: ReadImages): Promise<Outcome> {
    const { plan, viewer } = query
    const tables = [...plan.tables.values()]
    const sql = await compiler.compile(client, query)
    const nameOf = (text: string) => names.of(client, text)
    if (viewer?.isSecured) {
      names.distrust(client) // functions of policies may run DEALLOCATE
      const settings = await readSettings(client, viewer.role, usable)
      await client.query(becomeSql(viewer.role, settings, viewer.claims))
    } else if (viewer) await client.query(`set local row_security = on; ${takeRoleSql(viewer.role)}`)
    const images = await readImages(client, sql, limits.maxBytes, nameOf)
    const secured = viewer && !viewer.isSecured ? await findSecured(client, tables) : undefined
    if (secured) return { kind: 'failed', error: securedMeanwhile(secured) }
    if (viewer) await client.query(`set local role none; ${PIN_SETTINGS}`) // only the server's login may read listenql.watched
    return outcomeOf(query, images, await readTablesNow(client, tables, viewer?.isSecured, nameOf), limits)
  }

  return {
    async read(client, query) {
      let isSilent = false
      const timer = setTimeout(() => {
        isSilent = true
        socketOf(client).destroy()
      }, queryTimeout + SILENCE_GRACE_MS)
      const explain = (error: unknown) =>
        recoverable(
          client,
          () => explainFailure(client, query, error, limits),
          async () => ({ kind: 'failed', error: notRead(query.table, error) }),
        )
      const again = (readImages: ReadImages) =>
        recoverable(client, () => attempt(client, query, readImages), explain)
      try {
        return await recoverable(
          client,
          () => attempt(client, query, readTexts),
          error => {
            if (isEncodingError(error)) return again(readMended)
            if (!hasSqlState(error, SQL_STATE.invalidSqlStatementName)) return explain(error)
            names.distrust(client)
            return again(readTexts)
          },
        )
      } catch (error) {
        throw isSilent ? new Error('the database does not answer', { cause: error }) : error
      } finally {
        clearTimeout(timer)
      }
    },
  }
}

/** Rolls back to the savepoint after `work`; if Postgres has refused a statement in it, `otherwise` decides the outcome. */
async function recoverable(
  client: pg.Client,
  work: () => Promise<Outcome>,
  otherwise: (error: unknown) => Promise<Outcome>,
): Promise<Outcome> {
  let outcome: Outcome | undefined
  let refusal: unknown
  try {
    outcome = await work()
  } catch (error) {
    if (!isStatementError(error)) throw error
    refusal = error
  }
  await client.query(`rollback to savepoint ${SAVEPOINT}`)
  return outcome ?? (await otherwise(refusal))
}
