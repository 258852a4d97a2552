import type { Images } from '../../filters/images.js'
import type { Work } from '../../filters/index.js'
import type { Account } from '../../lib/limits/account.js'
import type { LogEvent } from '../../log/log-event.js'
import { type ChangeView, viewAt } from './change-view.js'
import type { Deliverable } from './delivered-rows.js'
import type { RowChange } from './row-change.js'

/**
 * Turns an event of a table whose policies read the table itself into the change that is delivered. Undefined: nothing is delivered.
 * @param expense pays for the filter's work. Undefined: the work is not counted
 * @param images the unrestricted rows, of which only the key is delivered
 * @param deliverable what may be delivered of the event, see `delivered-rows.ts`
 * @throws LimitExceeded as `viewAt` does
 */
export type DeliverableView = (
  expense: Account | undefined,
  event: LogEvent,
  images: Images,
  deliverable: Deliverable,
  work: Work,
) => RowChange | undefined

export function createDeliverableView(view: ChangeView): DeliverableView {
  return function viewDeliverable(expense, event, images, deliverable, work) {
    if (deliverable.kind === 'nothing') return undefined
    const change =
      deliverable.kind === 'images' ? viewAt(expense, view, event, deliverable.images, work) : undefined
    if (change) return change
    // The subscriber may have an older version of a row that is now hidden or does not match the filter.
    return deliverable.kind === 'removal' || deliverable.wasThere ? view.removal(event, images) : undefined
  }
}
