import pg from 'pg'
import { endOfBatch, type Position } from '../log/position.js'
import { PIN_PATIENCE, PIN_SETTINGS } from '../postgres/pinned-settings.js'
import { isConflict, isStatementError } from '../postgres/sql-state.js'

/** What a reading transaction goes back to after each read, which lets go of the locks and of an error. */
export const SAVEPOINT = 'listenql'

export interface CutOptions {
  /** Longest that a statement may take, in ms. */
  readonly queryTimeout: number
  readonly signal: AbortSignal
  /** The snapshot is about to be taken: who asks from now on may have seen what it will not show. */
  readonly onTaking: () => void
}

/**
 * Begins a transaction whose snapshot is the end of a batch, and leaves it open. Until it is committed the position does not
 * count, and whoever else takes events into the ledger waits. A lost race is tried again at once: somebody has got on.
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

/** The name of the transaction's snapshot, for others to import while it is open. */
export async function exportSnapshot(client: pg.ClientBase): Promise<string> {
  const { rows } = await client.query<{ id: string }>('select pg_export_snapshot() as id')
  return rows[0]?.id ?? ''
}

/** Begins a transaction that sees what the exported snapshot sees. */
export async function importSnapshot(client: pg.ClientBase, id: string, queryTimeout: number): Promise<void> {
  await client.query(
    `begin isolation level repeatable read read only; set transaction snapshot ${pg.escapeLiteral(id)};
     ${PIN_SETTINGS}; ${PIN_PATIENCE}; set local statement_timeout = ${queryTimeout}; savepoint ${SAVEPOINT}`,
  )
}

/** Whether the transaction has written: that the cut made a batch, which others wait for. */
export async function hasWritten(client: pg.ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ xid: string | null }>(
    'select pg_current_xact_id_if_assigned()::text as xid',
  )
  return rows[0]?.xid != null
}
