import type { RowImage } from '../../../filters/index.js'
import { ListenqlError } from '../../../lib/errors.js'
import type { Cursors } from '../../../log/cursors.js'
import { type Position, START_OVER } from '../../../log/position.js'
import type { InitialState, InitialStateReader } from '../../initial-state.js'
import type { RowChange, StreamOperation } from '../row-change.js'

/** The rows that a subscription begins with, exact at a position. */
export interface InitialRows {
  readonly position: Position
  readonly rows: readonly RowImage[]
}

export interface InitialRowsOptions {
  /** Reads the rows under the rights of the viewer; requests at the same time get the same rows. */
  readonly read: (signal?: AbortSignal) => Promise<InitialRows>
  readonly cursors: Pick<Cursors, 'encode'>
  /** Whether the table has a history now, from which a subscription can begin again. */
  readonly hasHistory: () => boolean
}

/** Memory of an event beside its row, in bytes. */
const EVENT_BYTES = 256

/** Begins a subscription with the rows as READ, then READY with their position; where changes are missing, again after a RESET. */
export function createInitialRows({
  read,
  cursors,
  hasHistory,
}: InitialRowsOptions): InitialStateReader<RowChange> {
  const states = new WeakMap<readonly RowImage[], InitialState<RowChange>>()

  function toEvent(
    operation: StreamOperation,
    position: Position,
    at: Date,
    row: RowImage | null,
  ): RowChange {
    const cursor = cursors.encode(position)
    return { operation, position, cursor, key: row, row, old: null, at, transaction: '' }
  }

  function toInitialState({ position, rows }: InitialRows): InitialState<RowChange> {
    const at = new Date()
    const events = rows.map(row => toEvent('READ', START_OVER, at, row))
    events.push(toEvent('READY', position, at, null))
    const bytes = rows.reduce((sum, row) => sum + row.size + EVENT_BYTES, EVENT_BYTES)
    return { events, position, bytes }
  }

  return {
    async read(signal) {
      const initial = await read(signal)
      let state = states.get(initial.rows)
      if (!state) {
        state = toInitialState(initial)
        states.set(initial.rows, state)
      }
      return state
    },
    reset: () => toEvent('RESET', START_OVER, new Date(), null),
    startsOverAfter: error =>
      error instanceof ListenqlError &&
      (error.code === 'CURSOR_EXPIRED' || error.code === 'CURSOR_INVALID') &&
      hasHistory(),
  }
}
