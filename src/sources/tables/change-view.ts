import type { Images } from '../../filters/images.js'
import {
  indexKeys,
  type RowImage,
  toPredicate,
  Undecided,
  unreadableError,
  type Work,
} from '../../filters/index.js'
import type { ListenqlError } from '../../lib/errors.js'
import type { Account } from '../../lib/limits/account.js'
import type { Cursors } from '../../log/cursors.js'
import type { LogEvent, LogOperation } from '../../log/log-event.js'
import type { ChangesRequest } from './changes-request.js'
import type { RowChange, RowOperation } from './row-change.js'

/** A change as one request sees it; undefined if it does not concern it. @throws LimitExceeded if its filter takes too much work */
export type ChangeView = (event: LogEvent, images: Images, work: Work) => RowChange | undefined

/** Looks at a change for those who pay for it. @throws LimitExceeded if it takes too much work, or nobody can pay */
export function viewAt(
  expense: Account | undefined,
  view: ChangeView,
  event: LogEvent,
  images: Images,
  work: Work,
): RowChange | undefined {
  const refusal = expense?.refusal()
  if (refusal) throw refusal
  work.begin()
  try {
    return view(event, images, work)
  } finally {
    expense?.pay(work.steps)
  }
}

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

/**
 * Whether a change may concern a request, before it is known which of its rows the viewer may see. By the operation and by
 * equality conditions that must hold, and by nothing else: what a filter finds in rows that nobody may see, and what looking
 * for it takes, could tell of them.
 */
export function createInterest({
  filter,
  operations,
}: ChangesRequest): (event: LogEvent, images: Images) => boolean {
  const required = indexKeys(filter)
  const mayMatch = (image: RowImage) =>
    required.every(({ column, keys }) => {
      const key = image.key(column)
      return key !== null && keys.has(key)
    })
  return (event, { row, old }) => {
    const operation = operationOf(event)
    if (!operation || (operations && !operations.includes(operation))) return false
    return operation === 'TRUNCATE' || (row !== null && mayMatch(row)) || (old !== null && mayMatch(old))
  }
}

/** Delivered when the old or the new row matches; a row that does not match any more is null. TRUNCATE matches every filter. */
export function createChangeView(
  { filter, operations }: ChangesRequest,
  cursors: Pick<Cursors, 'encode'>,
): ChangeView {
  const matches = toPredicate(filter)
  const isOpen = filter.kind === 'and' && filter.filters.length === 0
  return function view(event, { row, old }, work) {
    const operation = operationOf(event)
    if (!operation || (operations && !operations.includes(operation))) return undefined
    let now = row
    let fault: ListenqlError | undefined
    if (!isOpen && operation !== 'TRUNCATE') {
      try {
        if (row && !matches(row, work)) now = null
        if (!now && !(old && matches(old, work))) return undefined
      } catch (error) {
        if (!(error instanceof Undecided)) throw error
        // Left out, the change would leave the client's list wrong without a word.
        fault = unreadableError(error.column, error.reason)
      }
    }
    return {
      operation,
      position: event.position,
      cursor: cursors.encode(event.position),
      key: row ?? old,
      row: now,
      old,
      at: event.at,
      transaction: event.transaction,
      ...(fault && { fault }),
    }
  }
}

/** A row is no longer visible: only its key is given. Undefined if the request does not want the operation. */
export function createRemovalView(
  { operations }: ChangesRequest,
  cursors: Pick<Cursors, 'encode'>,
): (event: LogEvent, images: Images) => RowChange | undefined {
  return function view(event, { row, old }) {
    const operation = operationOf(event)
    if (!operation || (operations && !operations.includes(operation))) return undefined
    return {
      operation,
      position: event.position,
      cursor: cursors.encode(event.position),
      key: row ?? old,
      row: null,
      old: null,
      at: event.at,
      transaction: event.transaction,
    }
  }
}
