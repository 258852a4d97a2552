import { ListenqlError, messageOf } from '../lib/errors.js'
import type { Position } from '../log/position.js'
import { type EventSource, otherMeaning } from '../sources/source.js'
import { Epoch } from './epoch.js'
import { FanOut } from './fan-out.js'
import type { GroupOptions } from './group-options.js'
import { GroupSource } from './group-source.js'
import type { Outbound } from './outbound.js'
import { sharedAccount } from './shared-account.js'
import { createFrame, type Frame, FrameStream } from './stream.js'
import type { Subscriber } from './subscriber.js'
import type { SubscriptionRequest } from './subscription.js'

/**
 * Subscribers with equal requests share one source. The group opens it, replaces it when the schema changes, and closes it when the
 * last subscriber has left. If the source ends, a final frame says so to all subscribers. Two groups whose requests have become
 * equal merge.
 */
export class Group {
  readonly options: GroupOptions
  readonly fanOut: FanOut
  readonly #onEmpty: () => void
  readonly #closing = new AbortController()
  #request: SubscriptionRequest<unknown>
  /** Aborts when the state is not needed any more: not when another group takes the subscribers that wait for it. */
  #reading: AbortController | undefined
  readonly #source: GroupSource
  /** Where events are states: the newest one, and whether the present source has delivered it. */
  #state: string | undefined
  #isPresent = false
  /** Subscribers of groups that have merged into this one, which have not got its newest state. */
  readonly #lacking = new Set<Subscriber>()
  #epoch: Epoch | undefined
  /** The error that ended the source. */
  #end: ListenqlError | undefined
  /** The group that this group has merged into. */
  #heir: Group | undefined
  /** The number of subscribers, of joins that wait for the source, and of groups that have merged into this one. */
  #references = 0

  /** @param onEmpty called when no subscriber can join any more; it may be called several times */
  constructor(request: SubscriptionRequest<unknown>, options: GroupOptions, onEmpty: () => void) {
    this.#request = request
    this.options = options
    this.fanOut = new FanOut(request, options)
    this.#onEmpty = onEmpty
    this.#source = new GroupSource(
      {
        event: event => this.#take(event),
        end: error => this.#onSourceEnd(error),
        account: this.#account,
      },
      this.#closing.signal,
    )
    this.#source.open(request.source)
  }

  get key(): string {
    return this.#request.key
  }

  /** Its source under the present schema. */
  get source(): EventSource<unknown> {
    return this.#request.source
  }

  /** Resolves once the source is open. Rejects with the error of opening it. */
  get opened(): Promise<unknown> {
    return this.#source.opened
  }

  get isOpen(): boolean {
    return this.#source.isOpen
  }

  get size(): number {
    return this.fanOut.subscribers.size
  }

  /** The error that ended the source. Undefined: it has not ended. */
  get end(): ListenqlError | undefined {
    return this.#end
  }

  /** Whether the group has ended, so that no subscriber can join. */
  get isOver(): boolean {
    return this.#end !== undefined || this.#closing.signal.aborted
  }

  /** The group that now has the subscribers: this one, or the last of those that it has merged into. */
  get home(): Group {
    let home: Group = this
    while (home.#heir) home = home.#heir
    return home
  }

  /** The position of a subscriber that has taken all frames. Undefined: the source has ended, or events are not rendered yet. */
  get livePosition(): Position | undefined {
    if (this.#end || !this.isOpen || this.fanOut.hasPending) return undefined
    return this.source.isState ? this.source.holdsAt : this.source.replay?.start()
  }

  /** Where events are states: the position of the newest one. */
  get newestState(): Position | undefined {
    return this.source.isState ? this.fanOut.latest?.position : undefined
  }

  /** Another one whenever the history has ended. */
  get epoch(): Epoch {
    this.#reading ??= new AbortController()
    this.#epoch ??= new Epoch(() => this.source, this.#reading.signal)
    return this.#epoch
  }

  /** Counts a reference. The source stays open until `release` has been called for each. */
  retain(): void {
    this.#references++
  }

  release(): void {
    if (--this.#references > 0) return
    if (this.#heir) return this.#heir.release()
    this.#reading?.abort()
    this.#close()
  }

  /** Ends one subscriber: it gets the frames that wait for it, and then the error. */
  expel(subscriber: Subscriber, outbound: Outbound, error: ListenqlError): void {
    this.home.fanOut.subscribers.delete(subscriber)
    this.#show(this.finalFrame(error), subscriber, outbound)
  }

  finalFrame(error: ListenqlError): Frame {
    return createFrame(this.#request.renderEnd(error), undefined, undefined, { isFinal: true })
  }

  /** Moves the group to the new schema, or ends it. */
  async renew(): Promise<void> {
    try {
      const next = await this.#request.renew()
      if (!next || this.isOver) return // all subscribers may have left meanwhile
      if (next.source.meaning !== this.source.meaning) return this.#endHistory(next)
      this.#replace(next)
      // The pump waits for this, so no event falls between the former source and one that takes time to open.
      if (next.source.topic.kind === 'table') await this.opened
    } catch (error) {
      this.#conclude(asEnd(error))
    }
  }

  /** Moves the subscribers of this group to the stream of another group, whose request has become equal. */
  mergeInto(heir: Group): void {
    this.source.flush()
    heir.source.flush()
    const from = this.fanOut.flushed()
    const into = heir.fanOut.flushed()
    const seen = this.source.replay?.position()
    const differs = heir.source.isState && heir.#state !== this.#state
    // What a former source has delivered was for the former request of the heir only.
    const state = heir.#isPresent ? heir.fanOut.latest : undefined
    for (const [subscriber, outbound] of this.fanOut.subscribers) {
      if (differs || this.#lacking.has(subscriber)) {
        if (state) this.#show(state, subscriber, outbound)
        else heir.#lacking.add(subscriber)
      }
      if (subscriber.isOn(from)) subscriber.join(into, seen)
      splitAt(heir.source, subscriber)
      heir.fanOut.subscribers.set(subscriber, outbound)
    }
    this.fanOut.subscribers.clear()
    heir.retain()
    this.#heir = heir
    this.#close()
  }

  readonly #account = sharedAccount(
    () => this.home.fanOut.subscribers,
    (...expelled) => this.expel(...expelled),
  )

  #take(event: unknown): void {
    if (this.#end) return
    const { source } = this
    this.#isPresent = true
    if (source.isState && this.#isKnown(source.stateOf(event))) return this.#complete(event)
    this.#lacking.clear()
    this.fanOut.push(event)
    this.options.backpressure.took(source.sizeOf(event))
  }

  /** The new source of a table delivers every event after the position up to which the former one has delivered. */
  #replace(next: SubscriptionRequest<unknown>): void {
    this.source.flush()
    this.fanOut.renderBy(next)
    const at = this.source.replay?.position()
    this.#request = next
    this.#isPresent = false
    if (next.source.topic.kind !== 'table') return // a channel is the same under every schema
    this.#source.open(next.source, at)
    for (const subscriber of this.fanOut.subscribers.keys()) splitAt(next.source, subscriber)
  }

  /** The subscriber gets the frame after those that wait for it. */
  #show(frame: Frame, subscriber: Subscriber, outbound: Outbound): void {
    const own = new FrameStream(this.options.memory.wait)
    subscriber.join(own, undefined)
    own.push(frame)
    outbound.notify(subscriber)
  }

  /** A source that replaces another one begins with a state that the subscribers may have. */
  #isKnown(state: string | undefined): boolean {
    if (state === this.#state) return true
    this.#state = state
    return false
  }

  /** Shows the state that the others have to those that lack it. */
  #complete(state: unknown): void {
    for (const subscriber of this.#lacking) {
      const outbound = this.fanOut.subscribers.get(subscriber)
      if (!outbound) continue // it has left
      this.#show(this.fanOut.replayed(state), subscriber, outbound)
      subscriber.join(this.fanOut.flushed(), undefined)
    }
    this.#lacking.clear()
  }

  #onSourceEnd(error: ListenqlError): void {
    if (this.isOver) return
    if (this.epoch.startsOverAfter(error)) return this.#startOver()
    this.#conclude(error)
  }

  /** The new source has other events under the same names, so it cannot continue the former one. */
  #endHistory(next: SubscriptionRequest<unknown>): void {
    const error = otherMeaning()
    if (!this.epoch.startsOverAfter(error)) return this.#conclude(error)
    this.source.flush()
    this.fanOut.renderBy(next)
    this.#request = next
    this.#startOver()
  }

  /** The history has ended: opens the source again. Each subscriber starts over by itself, at its own pace. */
  #startOver(): void {
    this.#epoch = undefined
    this.fanOut.beginStream()
    this.#source.reopen(this.source, error => this.isOver || this.#conclude(asEnd(error)))
    for (const subscriber of this.fanOut.subscribers.keys()) subscriber.onHistoryEnd?.()
  }

  #conclude(error: ListenqlError): void {
    if (this.#end) return
    // A viewer that has lost the right gets nothing more, also of the time before.
    if (error.code === 'FORBIDDEN') this.fanOut.drop()
    else this.source.flush()
    this.#end = error
    for (const subscriber of this.fanOut.subscribers.keys()) subscriber.onHistoryEnd?.(error)
    this.#onEmpty() // from now on an equal request creates another group
    // A source of states has no past that is still to be read. Subscribers that wait for its first state get the error.
    if (this.source.isState) this.#source.stop()
    this.fanOut.send(this.finalFrame(error))
  }

  #close(): void {
    this.#onEmpty()
    this.#closing.abort()
    this.#source.stop()
  }
}

/** No event of the source may combine changes before and after the position up to which the subscriber skips them. */
function splitAt(source: EventSource<unknown>, { seen }: Subscriber): void {
  if (seen) source.replay?.split?.(seen)
}

function asEnd(error: unknown): ListenqlError {
  return error instanceof ListenqlError ? error : new ListenqlError('SCHEMA_CHANGED', messageOf(error))
}
