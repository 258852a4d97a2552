import pg from 'pg'
import { endOfBatch, type Position } from '../log/position.js'
import { PIN_PATIENCE, PIN_SETTINGS, PIN_VIEWS } from '../postgres/pinned-settings.js'
import { isConflict, isStatementError } from '../postgres/sql-state.js'

/** A reading transaction rolls back to it after each read, which releases the locks and clears an error. */
export const SAVEPOINT = 'listenql'

export interface CutOptions {
  /** Longest that a statement may take, in ms. */
  readonly queryTimeout: number
  readonly signal: AbortSignal
  /** Called right before the snapshot is taken: a later request may have seen rows that this snapshot does not show. */
  readonly onTaking: () => void
}

/**
 * Begins a transaction whose snapshot is the end of a batch, and leaves it open. Until it commits, the position is not valid, and
 * other sessions that advance the ledger wait. A lost race is tried again at once, since the winner has finished.
 */
export async function beginCut(client: pg.ClientBase, options: CutOptions): Promise<Position> {
  const { queryTimeout, signal, onTaking } = options
  for (;;) {
    await client.query(
      `begin isolation level repeatable read read write; ${PIN_SETTINGS}; ${PIN_PATIENCE}; set local statement_timeout = ${queryTimeout}`,
    )
    try {
      onTaking()
      const { rows } = await client.query<{ n: string; token: string }>('select n, token from listenql.cut()')
      const { n, token } = rows[0] as { n: string; token: string }
      return endOfBatch({ n: Number(n), token: Number(token) })
    } catch (error) {
      if (isStatementError(error)) await client.query('rollback')
      if (!isConflict(error) || signal.aborted) throw error
    }
  }
}

/** The name of the transaction's snapshot, for other transactions to import while it is open. */
export async function exportSnapshot(client: pg.ClientBase): Promise<string> {
  const { rows } = await client.query<{ id: string }>('select pg_export_snapshot() as id')
  return rows[0]?.id ?? ''
}

/** Begins a transaction with the exported snapshot. */
export async function importSnapshot(client: pg.ClientBase, id: string, queryTimeout: number): Promise<void> {
  await client.query(
    `begin isolation level repeatable read read only; set transaction snapshot ${pg.escapeLiteral(id)};
     ${PIN_SETTINGS}; ${PIN_VIEWS}; ${PIN_PATIENCE}; set local statement_timeout = ${queryTimeout}; savepoint ${SAVEPOINT}`,
  )
}

/** Whether the transaction has written: then the cut made a batch, for which other sessions wait. */
export async function hasWritten(client: pg.ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ xid: string | null }>(
    'select pg_current_xact_id_if_assigned()::text as xid',
  )
  return rows[0]?.xid != null
}
