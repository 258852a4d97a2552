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

/** Whether a change concerns a request, as `createChangeView` says it, without making anything of it. */
export function createInterest({
  filter,
  operations,
}: ChangesRequest): (event: LogEvent, images: Images) => boolean {
  const matches = toPredicate(filter)
  const isOpen = filter.kind === 'and' && filter.filters.length === 0
  return (event, { row, old }) => {
    const operation = operationOf(event)
    if (!operation || (operations && !operations.includes(operation))) return false
    return (
      isOpen || operation === 'TRUNCATE' || (row !== null && matches(row)) || (old !== null && matches(old))
    )
  }
}

let last: { readonly event: LogEvent; readonly cursor: string } | undefined

/** All who are told of an event are told one after the other: it is made once. */
function cursorOf(event: LogEvent): string {
  if (last?.event !== event) last = { event, cursor: encodeCursor(event.position) }
  return last.cursor
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
      cursor: cursorOf(event),
      key: row ?? old,
      row: now,
      old,
      at: event.at,
      transaction: event.transaction,
    }
  }
}

/** That a row is gone from sight, by its key alone; undefined if the request does not want the operation. */
export function createRemovalView({ operations }: ChangesRequest): ChangeView {
  return function view(event, { row, old }) {
    const operation = operationOf(event)
    if (!operation || (operations && !operations.includes(operation))) return undefined
    return {
      operation,
      position: event.position,
      cursor: cursorOf(event),
      key: row ?? old,
      row: null,
      old: null,
      at: event.at,
      transaction: event.transaction,
    }
  }
}
