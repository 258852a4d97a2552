import type { Images } from '../../filters/images.js'
import type { Work } from '../../filters/index.js'
import { ListenqlError } from '../../lib/errors.js'
import { LimitExceeded } from '../../lib/limits/limit-exceeded.js'
import type { Stop } from '../../lib/stop.js'
import type { LogEvent } from '../../log/log-event.js'
import type { Follower } from '../source.js'
import { createChangeIndex } from './change-index.js'
import { type ChangeView, viewAt } from './change-view.js'
import type { ChangesRequest } from './changes-request.js'
import type { RowChange } from './row-change.js'

/** The followers of one table without row-level security. An event is delivered to those whose selection matches it. */
export interface TableTopic {
  /** From the next event on. @returns removes the follower; idempotent */
  add(request: ChangesRequest, view: ChangeView, follower: Follower<RowChange>): Stop
  /** Delivers an event, synchronously. A follower whose view throws ends; the others are not affected. */
  event(event: LogEvent, images: Images): void
  /** Ends all followers with this error. */
  end(error: ListenqlError): void
  /** Ends the followers whose request passes the test. */
  endWhere(test: (request: ChangesRequest) => boolean, error: ListenqlError): void
  readonly size: number
}

interface Entry {
  readonly request: ChangesRequest
  readonly view: ChangeView
  readonly follower: Follower<RowChange>
  leave: Stop
}

/**
 * @param onFault takes what a view throws, apart from LimitExceeded
 * @param work counts the work for one event and one follower, and limits it
 */
export function createTableTopic(onFault: (error: unknown) => void, work: Work): TableTopic {
  const index = createChangeIndex<Entry>()

  return {
    add(request, view, follower) {
      const entry: Entry = { request, view, follower, leave: () => undefined }
      entry.leave = index.add(request, entry)
      return entry.leave
    },
    event(event, images) {
      index.visit(event, images, ({ view, follower, leave }) => {
        try {
          const change = viewAt(follower.account, view, event, images, work)
          if (change) follower.event(change)
        } catch (error) {
          leave()
          if (error instanceof LimitExceeded) return follower.end(error)
          onFault(error)
          // If it went on, the subscriber would not notice that a change is missing.
          follower.end(new ListenqlError('DATABASE_FAILED', 'an event of the log could not be read'))
        }
      })
    },
    end(error) {
      for (const { follower } of index.clear()) follower.end(error)
    },
    endWhere(test, error) {
      for (const { request, follower, leave } of [...index.entries]) {
        if (!test(request)) continue
        leave()
        follower.end(error)
      }
    },
    get size() {
      return index.entries.size
    },
  }
}
