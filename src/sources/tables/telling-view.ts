import type { Images } from '../../filters/images.js'
import type { Work } from '../../filters/index.js'
import type { Account } from '../../lib/limits/account.js'
import type { Cursors } from '../../log/cursors.js'
import type { LogEvent } from '../../log/log-event.js'
import { createChangeView, createRemovalView, viewAt } from './change-view.js'
import type { ChangesRequest } from './changes-request.js'
import type { RowChange } from './row-change.js'
import type { Telling } from './told-rows.js'

/**
 * What a request is told of a change whose policies read the table itself; undefined: nothing.
 * @throws LimitExceeded as `viewAt` does
 */
export type TellingView = (
  expense: Account | undefined,
  event: LogEvent,
  images: Images,
  telling: Telling,
  work: Work,
) => RowChange | undefined

export function createTellingView(request: ChangesRequest, cursors: Pick<Cursors, 'encode'>): TellingView {
  const view = createChangeView(request, cursors)
  const removal = createRemovalView(request, cursors)
  return function tell(expense, event, images, telling, work) {
    if (telling.kind === 'nothing') return undefined
    const change = telling.kind === 'images' ? viewAt(expense, view, event, telling.images, work) : undefined
    if (change) return change
    // It has left the filter, by a version of it that is not shown.
    return telling.kind === 'removal' || telling.wasThere ? removal(event, images) : undefined
  }
}
