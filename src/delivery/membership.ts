import { abortable } from '../lib/abort.js'
import { ListenqlError } from '../lib/errors.js'
import type { Position } from '../log/position.js'
import type { Group } from './group.js'
import type { Outbound } from './outbound.js'
import { assertGoesOn, hasOpened, replayOf } from './present-source.js'
import { catchUp } from './start/catch-up.js'
import { startWithInitialState } from './start/start-with-initial-state.js'
import { FrameStream } from './stream.js'
import { Subscriber } from './subscriber.js'
import type { SubscriberOptions } from './subscription.js'
import type { SubscriptionHandle } from './subscription-handle.js'
import { TransactionEnds } from './transaction-ends.js'

/**
 * One subscriber in a group, until it leaves. Without a position it starts at the newest frame or, if its source has one, with the
 * initial state; with a position it reads the log at its own pace and then joins the stream of the group. It counts as a reference of
 * the group, also while it waits for the source.
 * @returns once no later event can be missed; with a position, once the first page after it has been read; with an initial state, once
 * that has been read
 */
export async function joinGroup(
  group: Group,
  options: SubscriberOptions,
  signal?: AbortSignal,
): Promise<SubscriptionHandle> {
  const { outbound, after, transactions } = options
  const member = new Member(group, outbound)
  // Costly per idle subscriber: created only if it has to read something first.
  if (after || group.source.initialState) member.left = new AbortController()
  try {
    // Not in a function of its own: after another await, an event that is dispatched meanwhile would be missed.
    for (let source: unknown; source !== group.home.source; ) {
      await hasOpened(group, signal)
      const present = group.home.source
      await present.live(signal) // the source may have opened before an outage that still lasts
      assertGoesOn(group)
      source = present // another one may have replaced it, as after a change of the schema
    }
    if (member.left) {
      const leaving = signal ? AbortSignal.any([member.left.signal, signal]) : member.left.signal
      member.subscriber = await (group.home.source.initialState ? startWithInitialState : resume)(
        group,
        options,
        leaving,
      )
    } else {
      member.subscriber = enter(group.home, options)
    }
  } catch (error) {
    member.leave()
    throw error
  }
  if (transactions) {
    const { subscriber } = member
    subscriber.ends = new TransactionEnds({
      ...{ frames: transactions, after },
      reached: () => member.position(),
    })
    outbound.notify(subscriber)
  }
  return member
}

/** A class, since each idle subscription has one. */
class Member implements SubscriptionHandle {
  readonly #group: Group
  readonly #outbound: Outbound
  /** Ends what it reads. Undefined: it reads nothing. */
  left: AbortController | undefined
  #subscriber: Subscriber | undefined
  #hasLeft = false

  constructor(group: Group, outbound: Outbound) {
    this.#group = group
    this.#outbound = outbound
    group.retain()
  }

  get subscriber(): Subscriber {
    return this.#subscriber as Subscriber
  }

  set subscriber(subscriber: Subscriber) {
    this.#subscriber = subscriber
  }

  position(): Position | undefined {
    return this.subscriber.position(this.#group.home.livePosition)
  }

  results(): number {
    return this.subscriber.results
  }

  leave(): void {
    if (this.#hasLeft) return
    this.#hasLeft = true
    this.left?.abort()
    const subscriber = this.#subscriber
    if (subscriber) {
      this.#group.home.fanOut.subscribers.delete(subscriber)
      this.#outbound.remove(subscriber)
    }
    this.#group.release()
  }
}

/** Starts at the newest frame; where events are states, with the newest one. */
function enter(
  { source, fanOut, options: { memory } }: Group,
  { id, outbound, account }: SubscriberOptions,
): Subscriber {
  // A state that is being rendered reaches the subscriber by the stream. To wait for it here would block all others.
  const isComing = source.isState && fanOut.hasPending
  const stream = isComing ? fanOut.stream : fanOut.flushed()
  const latest = source.isState && !isComing ? fanOut.latest : undefined
  const own = latest ? new FrameStream(memory.wait) : stream
  const subscriber = new Subscriber(id, own, undefined, account)
  fanOut.subscribers.set(subscriber, outbound)
  if (latest) {
    own.push(latest)
    subscriber.join(stream, undefined)
    outbound.notify(subscriber)
  }
  return subscriber
}

/** Reads the first page before it resolves, so that a cursor that must be refused is refused at once. */
async function resume(
  group: Group,
  { id, outbound, after, account }: SubscriberOptions,
  signal: AbortSignal,
): Promise<Subscriber> {
  const { memory, observe, scheduler } = group.options
  const began = performance.now()
  const position = after as NonNullable<typeof after>
  const first = await abortable(replayOf(group).read(position, signal, account), signal)
  const own = new FrameStream(memory.wait)
  const subscriber = new Subscriber(id, own, position, account)
  group.home.fanOut.subscribers.set(subscriber, outbound)
  const notify = () => outbound.notify(subscriber)
  let endBefore: ListenqlError | undefined
  const finish = (error: ListenqlError) => {
    own.push(group.finalFrame(error))
    notify()
  }
  catchUp({
    replay: () => replayOf(group),
    after: position,
    first,
    own,
    group() {
      endBefore = group.home.end
      return group.home.fanOut.flushed()
    },
    subscriber,
    scheduler,
    push: event => own.push(group.home.fanOut.replayed(event)),
    notify,
    account,
    signal,
  }).then(
    () => {
      if (!signal.aborted)
        observe({
          type: 'subscriber.caught-up',
          topic: group.home.source.topic.name,
          took: performance.now() - began,
        })
      // If the group ended before this subscriber joined its stream, the final frame is not in what it still takes.
      if (endBefore && !signal.aborted) group.expel(subscriber, outbound, endBefore)
    },
    (error: unknown) => {
      if (signal.aborted) return
      if (error instanceof ListenqlError) return finish(error)
      observe({ type: 'fault', id: 'replay', message: 'the event log could not be replayed', error })
      finish(new ListenqlError('DATABASE_FAILED', 'the event log could not be read'))
    },
  )
  return subscriber
}
