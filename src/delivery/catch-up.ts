import type { Account } from '../lib/limits/account.js'
import { comparePositions, type Position } from '../log/position.js'
import type { Replay, ReplayPage } from '../sources/source.js'
import type { FrameStream } from './stream.js'
import type { Subscriber } from './subscriber.js'

export interface CatchUpOptions<Event> {
  /** The past of the group's source, which may be another one after the schema was built again. */
  readonly replay: () => Replay<Event>
  /** What the client has seen. */
  readonly after: Position
  /** The page after that, if it has been read already. */
  readonly first?: ReplayPage<Event> | undefined
  /** The stream of the subscriber, from which it is fed until it is level. */
  readonly own: FrameStream
  /** The stream of the group that it joins, with all that has been handed on so far. */
  readonly group: () => FrameStream
  readonly subscriber: Subscriber
  /** Adds an event to `own`, as it is sent. */
  readonly push: (event: Event) => void
  /** Pays for finding out which events of the past are for it. */
  readonly account?: Account | undefined
  /** New frames wait for the subscriber. */
  readonly notify: () => void
  readonly signal: AbortSignal
}

/** So much is rendered before it is taken, in bytes: a page may hold megabytes. */
const RENDER_AHEAD_BYTES = 256 * 1024

/**
 * Feeds a subscriber that comes back from the log, a page at a time and as fast as it takes them, until it is level with the
 * live stream; then joins that exactly at the seam. Resolves once it has joined, or the signal aborts; rejects with what
 * reading rejects with.
 *
 * Level means: live events have been handed on no further than the log has been read for it. Both are looked at in one
 * synchronous step, so that nothing comes between. The log may be ahead of the live stream; the subscriber then passes over
 * what it has been served.
 */
export async function catchUp<Event>(options: CatchUpOptions<Event>): Promise<void> {
  const { replay, own, group, subscriber, push, notify, account, signal } = options
  let page = options.first ?? (await replay().read(options.after, signal, account))
  while (!signal.aborted) {
    let begin = own.tail.end
    for (const event of page.events) {
      push(event)
      if (own.tail.end - begin < RENDER_AHEAD_BYTES) continue
      notify()
      await subscriber.taken()
      if (signal.aborted) return
      begin = own.tail.end
    }
    const { position } = page
    if (comparePositions(position, replay().position()) >= 0) {
      for (const event of replay().seam()) push(event)
      subscriber.join(group(), position)
      return notify()
    }
    notify()
    await subscriber.taken()
    if (signal.aborted) return
    subscriber.pass(position)
    page = await replay().read(position, signal, account)
  }
}
