import type { Account } from '../lib/limits/account.js'
import type { Position } from '../log/position.js'
import { handedOnIn, joinIfLevel, pagesAfter, type Replay, type ReplayPage } from '../sources/resume.js'
import type { FrameStream } from './stream.js'
import type { Subscriber } from './subscriber.js'

export interface CatchUpOptions<Event> {
  /** The past of the group's source, which is another one once the schema has been built again. */
  readonly replay: () => Replay<Event>
  /** What the client has seen. */
  readonly after: Position
  /** The page after that, if it has been read already. */
  readonly first?: ReplayPage<Event> | undefined
  /** The subscriber's own stream, which it is fed from until it is level. */
  readonly own: FrameStream
  /** The stream of the group that the subscriber joins, with all events that have been handed on so far. */
  readonly group: () => FrameStream
  readonly subscriber: Subscriber
  /** Renders an event, and adds it to `own`. */
  readonly push: (event: Event) => void
  /** Pays for finding out which events of the past the subscriber gets. */
  readonly account?: Account | undefined
  /** New frames wait for the subscriber. */
  readonly notify: () => void
  readonly signal: AbortSignal
}

/** Bytes that are rendered before the subscriber has taken them: a page may hold megabytes. */
const RENDER_AHEAD_BYTES = 256 * 1024

/**
 * Feeds a subscriber that resumes from the log, a page at a time and as fast as the subscriber takes them, until it joins the
 * stream of its group. Resolves once it has joined, or the signal aborts; rejects with what reading rejects with.
 */
export async function catchUp<Event>(options: CatchUpOptions<Event>): Promise<void> {
  const { replay, after, first, own, group, subscriber, push, notify, account, signal } = options
  const read = (position: Position) => replay().read(position, signal, account)
  for await (const page of pagesAfter(after, read, first)) {
    if (signal.aborted) return
    const { events, position } = page
    const handedOn = () => handedOnIn(replay(), page)
    let begin = own.tail.end
    for (const event of events) {
      push(event)
      if (own.tail.end - begin < RENDER_AHEAD_BYTES) continue
      notify()
      await subscriber.taken()
      if (signal.aborted) return
      begin = own.tail.end
    }
    const hasJoined = joinIfLevel(position, handedOn, () => {
      for (const event of replay().seam()) push(event)
      subscriber.join(group(), position)
    })
    notify()
    if (hasJoined) return
    await subscriber.taken()
    if (signal.aborted) return
    subscriber.pass(position)
  }
}
