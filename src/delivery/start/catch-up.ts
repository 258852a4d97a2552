import type { Account } from '../../lib/limits/account.js'
import type { Position } from '../../log/position.js'
import {
  joinIfLevel,
  livePositionIn,
  pagesAfter,
  type Replay,
  type ReplayPage,
} from '../../sources/resume.js'
import type { FrameStream } from '../stream.js'
import type { Subscriber } from '../subscriber.js'
import { type PushEventsOptions, pushEvents } from './push-events.js'

export interface CatchUpOptions<Event> extends PushEventsOptions<Event> {
  /** The past of the group's present source; the group has another source after the schema has changed. */
  readonly replay: () => Replay<Event>
  /** The position up to which the client has seen everything. */
  readonly after: Position
  /** The page after that position, if it has already been read. */
  readonly first?: ReplayPage<Event> | undefined
  /** The stream of the group that the subscriber joins, with the frames of all events that the group has received so far. */
  readonly group: () => FrameStream
  readonly subscriber: Subscriber
  /** Pays for filtering the events of the past. Default: the work is not counted. */
  readonly account?: Account | undefined
  /** Called when new frames wait for the subscriber. */
  readonly notify: () => void
}

/**
 * Renders the past from the log for a subscriber that resumes, page by page and as fast as the subscriber takes the frames, until the
 * subscriber joins the stream of its group. It gets each event exactly once, see `resume.ts`. Resolves once it has joined or the
 * signal aborts; rejects with the error of reading.
 */
export async function catchUp<Event>(options: CatchUpOptions<Event>): Promise<void> {
  const { replay, after, first, group, subscriber, push, notify, account, signal } = options
  const read = (position: Position) => replay().read(position, signal, account)
  for await (const page of pagesAfter(after, read, first)) {
    if (signal.aborted) return
    const { events, position } = page
    const livePosition = () => livePositionIn(replay(), page)
    for (let at = 0; at < events.length; ) {
      at = await pushEvents(events, at, options)
      if (at === events.length && !signal.aborted) break
      notify()
      if (signal.aborted) return
      await subscriber.taken()
      if (signal.aborted) return
    }
    const hasJoined = joinIfLevel(position, livePosition, () => {
      for (const event of replay().seam()) push(event)
      replay().split?.(position)
      subscriber.join(group(), position)
    })
    notify()
    if (hasJoined) return
    await subscriber.taken()
    if (signal.aborted) return
    subscriber.pass(position)
  }
}
