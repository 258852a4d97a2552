import type { Images } from '../../filters/images.js'
import type { Work } from '../../filters/index.js'
import type { Account } from '../../lib/limits/account.js'
import type { LogEvent } from '../../log/log-event.js'
import { type ChangeView, viewAt } from './change-view.js'
import type { RowChange } from './row-change.js'
import type { Telling } from './told-rows.js'

/**
 * Turns an event of a table whose policies read the table itself into the change that is delivered; undefined: nothing is.
 * @param expense pays for the filter's work. Undefined: it is not accounted for
 * @param images the unrestricted rows, of which only the key is delivered
 * @param telling what the subscriber may be told of the event, see `told-rows.ts`
 * @throws LimitExceeded as `viewAt` does
 */
export type TellingView = (
  expense: Account | undefined,
  event: LogEvent,
  images: Images,
  telling: Telling,
  work: Work,
) => RowChange | undefined

export function createTellingView(view: ChangeView): TellingView {
  return function tell(expense, event, images, telling, work) {
    if (telling.kind === 'nothing') return undefined
    const change = telling.kind === 'images' ? viewAt(expense, view, event, telling.images, work) : undefined
    if (change) return change
    // A version of the row that is not shown has left the filter.
    return telling.kind === 'removal' || telling.wasThere ? view.removal(event, images) : undefined
  }
}
