import type { Images } from '../../filters/images.js'
import { createFilterIndex, type FilterIndex, Work } from '../../filters/index.js'
import { ListenqlError } from '../../lib/errors.js'
import { LimitExceeded } from '../../lib/limits/limit-exceeded.js'
import type { Stop } from '../../lib/stop.js'
import type { LogEvent } from '../../log/log-event.js'
import type { Follower } from '../source.js'
import { type ChangeView, operationOf, viewAt } from './change-view.js'
import type { ChangesRequest } from './changes-request.js'
import type { RowChange, RowOperation } from './row-change.js'

/** Those who follow one table, of whom an event is shown to those whose filter it may match. */
export interface TableTopic {
  add(request: ChangesRequest, view: ChangeView, follower: Follower<RowChange>): Stop
  event(event: LogEvent, images: Images): void
  /** Tells all of them that it ends. */
  end(error: ListenqlError): void
  /** Tells those that it ends whose request is like this. */
  endWhere(isConcerned: (request: ChangesRequest) => boolean, error: ListenqlError): void
  readonly size: number
}

interface Entry {
  readonly request: ChangesRequest
  readonly view: ChangeView
  readonly follower: Follower<RowChange>
  readonly leave: Stop
}

/**
 * @param onFault takes what a view throws; only that follower's subscription ends with it
 * @param work what looking at an event for one follower may take
 */
export function createTableTopic(onFault: (error: unknown) => void, work = new Work()): TableTopic {
  const entries = new Set<Entry>()
  /** By operation, which counts as a condition, too; `undefined` are those who want all. */
  const indexes = new Map<RowOperation | undefined, FilterIndex<Entry>>()

  function indexOf(operation: RowOperation | undefined): FilterIndex<Entry> {
    let index = indexes.get(operation)
    if (!index) {
      index = createFilterIndex()
      indexes.set(operation, index)
    }
    return index
  }

  return {
    add(request, view, follower) {
      const { filter, operations } = request
      const leave = () => {
        if (!entries.delete(entry)) return
        for (const takeOut of removals) takeOut()
      }
      const entry: Entry = { request, view, follower, leave }
      entries.add(entry)
      const wanted = operations ? [...new Set(operations)] : [undefined]
      const removals = wanted.map(operation => indexOf(operation).add(filter, entry))
      return leave
    },
    event(event, images) {
      const operation = operationOf(event)
      const show = ({ view, follower, leave }: Entry) => {
        try {
          const change = viewAt(follower.account, view, event, images, work)
          if (change) follower.event(change)
        } catch (error) {
          leave()
          if (error instanceof LimitExceeded) return follower.end(error)
          onFault(error)
          // Without it, what follows would look whole.
          follower.end(new ListenqlError('DATABASE_FAILED', 'an event of the log could not be read'))
        }
      }
      if (operation === 'TRUNCATE') for (const entry of entries) show(entry)
      else {
        indexes.get(undefined)?.visit(images.row, images.old, show)
        indexes.get(operation)?.visit(images.row, images.old, show)
      }
    },
    end(error) {
      const all = [...entries]
      entries.clear()
      indexes.clear()
      for (const { follower } of all) follower.end(error)
    },
    endWhere(isConcerned, error) {
      for (const { request, follower, leave } of [...entries]) {
        if (!isConcerned(request)) continue
        leave()
        follower.end(error)
      }
    },
    get size() {
      return entries.size
    },
  }
}
