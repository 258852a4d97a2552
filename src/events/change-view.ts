import { type RowImage, toPredicate } from '../filters/index.js'
import type { ChangesRequest } from './changes-request.js'
import { encodeCursor } from './cursor.js'
import type { LogEvent, LogOperation } from './log-event.js'
import type { RowChange, RowOperation } from './row-change.js'

/** The rows of an event, as a filter reads them. */
export interface Images {
  readonly row: RowImage | null
  readonly old: RowImage | null
}

/** A change as one request sees it; undefined if it does not concern it. */
export type ChangeView = (event: LogEvent, images: Images) => RowChange | undefined

const OPERATIONS: Readonly<Record<LogOperation, RowOperation | undefined>> = {
  I: 'INSERT',
  U: 'UPDATE',
  D: 'DELETE',
  T: 'TRUNCATE',
  N: undefined,
}

export function operationOf(event: LogEvent): RowOperation | undefined {
  return OPERATIONS[event.operation]
}

/** Delivered when the old or the new row matches; a row that does not match any more is null. TRUNCATE matches every filter. */
export function createChangeView({ filter, operations }: ChangesRequest): ChangeView {
  const matches = toPredicate(filter)
  const isOpen = filter.kind === 'and' && filter.filters.length === 0
  return function view(event, { row, old }) {
    const operation = operationOf(event)
    if (!operation || (operations && !operations.includes(operation))) return undefined
    let now = row
    if (!isOpen && operation !== 'TRUNCATE') {
      if (row && !matches(row)) now = null
      if (!now && !(old && matches(old))) return undefined
    }
    return {
      operation,
      position: event.position,
      cursor: encodeCursor(event.position),
      key: row ?? old,
      row: now,
      old,
      at: event.at,
      transaction: event.transaction,
    }
  }
}
