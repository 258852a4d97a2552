import type { Images } from '../../filters/images.js'
import { type RowImage, Undecided, unreadableError, type Work } from '../../filters/index.js'
import type { Account } from '../../lib/limits/account.js'
import type { Cursors } from '../../log/cursors.js'
import type { LogEvent } from '../../log/log-event.js'
import { type ChangeMatcher, createChangeMatcher, operationOf } from './change-matcher.js'
import type { ChangeSelection } from './changes-request.js'
import type { RowChange, RowOperation } from './row-change.js'

/** Turns events of the log into the changes that one selection delivers. */
export interface ChangeView {
  readonly matcher: ChangeMatcher
  /**
   * The change with its rows; `row` is null if the new row does not match the filter. Undefined if the change is not selected.
   * @param images the rows as the viewer may see them
   * @throws LimitExceeded if the filter takes too much work
   */
  change(event: LogEvent, images: Images, work: Work): RowChange | undefined
  /** The change for a row that is no longer visible: only its key is given. Undefined if the operation is not wanted. */
  removal(event: LogEvent, images: Images): RowChange | undefined
}

export function createChangeView(selection: ChangeSelection, cursors: Pick<Cursors, 'encode'>): ChangeView {
  const matcher = createChangeMatcher(selection)

  /** @param images hold the key; `row` and `old` are what is delivered */
  function toChange(event: LogEvent, images: Images, row: RowImage | null, old: RowImage | null): RowChange {
    return {
      operation: operationOf(event) as RowOperation,
      position: event.position,
      cursor: cursors.encode(event.position),
      key: images.row ?? images.old,
      row,
      old,
      at: event.at,
      transaction: event.transaction,
    }
  }

  /** A change that the filter cannot decide is delivered as a fault. Omitting it would silently make the client's list wrong. */
  function toFault(event: LogEvent, images: Images, error: unknown): RowChange {
    if (!(error instanceof Undecided)) throw error
    const fault = unreadableError(error.column, error.reason)
    return { ...toChange(event, images, images.row, images.old), fault }
  }

  return {
    matcher,
    change(event, images, work) {
      try {
        const row = matcher.match(event, images, work)
        return row === undefined ? undefined : toChange(event, images, row, images.old)
      } catch (error) {
        return toFault(event, images, error)
      }
    },
    removal: (event, images) => (matcher.wants(event) ? toChange(event, images, null, null) : undefined),
  }
}

/**
 * `view.change`, paid for by an account.
 * @param expense the account. Undefined: the work is not counted
 * @throws LimitExceeded if the account is overdrawn, or the filter takes too much work
 */
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
    return view.change(event, images, work)
  } finally {
    expense?.pay(work.steps)
  }
}

/**
 * `viewAt` under row-level security. An event of which the viewer sees no row is not filtered and costs nothing, because a charge
 * or a refusal would reveal that there is a hidden row.
 */
export function viewVisible(
  expense: Account | undefined,
  view: ChangeView,
  event: LogEvent,
  seen: Images,
  work: Work,
): RowChange | undefined {
  if (!seen.row && !seen.old && event.operation !== 'T') return undefined
  return viewAt(expense, view, event, seen, work)
}
