import { createChangeView, createRemovalView, type Images } from './change-view.js'
import type { ChangesRequest } from './changes-request.js'
import type { LogEvent } from './log-event.js'
import type { RowChange } from './row-change.js'
import type { Telling } from './told-rows.js'

/** A view of what may be told of a change whose policies read the table itself. */
export function createTellingView(request: ChangesRequest) {
  const view = createChangeView(request)
  const removal = createRemovalView(request)
  return function tell(event: LogEvent, images: Images, telling: Telling): RowChange | undefined {
    if (telling.kind === 'nothing') return undefined
    const change = telling.kind === 'images' ? view(event, telling.images) : undefined
    if (change) return change
    // It has left the filter, by a version of it that is not shown.
    return telling.kind === 'removal' || telling.wasThere ? removal(event, images) : undefined
  }
}
