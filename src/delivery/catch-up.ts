import type { Account } from '../lib/limits/account.js'
import type { Position } from '../log/position.js'
import { joinIfLevel, livePositionIn, pagesAfter, type Replay, type ReplayPage } from '../sources/resume.js'
import type { FrameStream } from './stream.js'
import type { Subscriber } from './subscriber.js'

export interface CatchUpOptions<Event> {
  /** The past of the group's present source; the group has another source after the schema has changed. */
  readonly replay: () => Replay<Event>
  /** The position up to which the client has seen everything. */
  readonly after: Position
  /** The page after that position, if it has already been read. */
  readonly first?: ReplayPage<Event> | undefined
  /** The subscriber's own stream, from which it takes frames until it has caught up. */
  readonly own: FrameStream
  /** The stream of the group that the subscriber joins, with the frames of all events that the group has received so far. */
  readonly group: () => FrameStream
  readonly subscriber: Subscriber
  /** Renders an event and adds its frame to `own`. */
  readonly push: (event: Event) => void
  /** Pays for filtering the events of the past. Default: the work is not counted. */
  readonly account?: Account | undefined
  /** Called when new frames wait for the subscriber. */
  readonly notify: () => void
  readonly signal: AbortSignal
}

/** How many bytes of frames are rendered before the subscriber has taken them. Bounded, because a page may hold megabytes. */
export const RENDER_AHEAD_BYTES = 256 * 1024

/**
 * Renders the past from the log for a subscriber that resumes, page by page and as fast as the subscriber takes the frames, until the
 * subscriber joins the stream of its group. It gets each event exactly once, see `resume.ts`. Resolves once it has joined or the
 * signal aborts; rejects with the error of reading.
 */
export async function catchUp<Event>(options: CatchUpOptions<Event>): Promise<void> {
  const { replay, after, first, own, group, subscriber, push, notify, account, signal } = options
  const read = (position: Position) => replay().read(position, signal, account)
  for await (const page of pagesAfter(after, read, first)) {
    if (signal.aborted) return
    const { events, position } = page
    const livePosition = () => livePositionIn(replay(), page)
    let begin = own.tail.end
    for (const event of events) {
      push(event)
      if (own.tail.end - begin < RENDER_AHEAD_BYTES) continue
      notify()
      await subscriber.taken()
      if (signal.aborted) return
      begin = own.tail.end
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
