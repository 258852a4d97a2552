import { abortable } from '../lib/abort.js'
import { ListenqlError, messageOf } from '../lib/errors.js'
import { Fifo } from '../lib/fifo.js'
import type { Account } from '../lib/limits/account.js'
import type { LimitExceeded } from '../lib/limits/limit-exceeded.js'
import type { Stop } from '../lib/stop.js'
import type { Position } from '../log/position.js'
import type { Replay } from '../sources/resume.js'
import { noHistory } from '../sources/source.js'
import { catchUp } from './catch-up.js'
import type { Outbound } from './outbound.js'
import { createRenderer, type Renderer } from './renderer.js'
import { createFrame, FrameStream } from './stream.js'
import { Subscriber } from './subscriber.js'
import type {
  GroupOptions,
  SubscriberOptions,
  SubscriptionHandle,
  SubscriptionRequest,
} from './subscription.js'

/**
 * Subscribers with equal requests. They share one source; each event is rendered once, and all subscribers get the same frame.
 * The frames of a subscriber are in the order of the source's events, without a hole, and end with a final frame if the source ends.
 */
export class Group {
  #request: SubscriptionRequest<unknown>
  #renderer: Renderer
  readonly #options: GroupOptions
  readonly #onEmpty: () => void
  readonly #stream: FrameStream
  readonly #subscribers = new Map<Subscriber, Outbound>()
  readonly #closing = new AbortController()
  /** Events that have been delivered to the group and are not rendered yet. */
  readonly #pending = new Fifo<unknown>()
  #opened: Promise<Stop>
  #isOpen = false
  /** The error that ended the source. */
  #end: ListenqlError | undefined
  /** The group that this group has merged into. */
  #heir: Group | undefined
  /** The number of subscribers, of joins that wait for the source, and of groups that have merged into this one. */
  #references = 0
  readonly #work = () => {
    this.#render(() => this.#options.scheduler.isOver)
    if (this.#pending.size > 0) this.#options.scheduler.due(this.#work)
  }

  constructor(request: SubscriptionRequest<unknown>, options: GroupOptions, onEmpty: () => void) {
    this.#request = request
    this.#renderer = createRenderer(request, options)
    this.#options = options
    this.#stream = new FrameStream(options.memory.wait)
    this.#onEmpty = onEmpty
    this.#opened = this.#open(request)
  }

  get key(): string {
    return this.#request.key
  }

  get size(): number {
    return this.#subscribers.size
  }

  /** Whether its source is open. */
  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Whether the group has ended, so that no subscriber can join. */
  get isOver(): boolean {
    return this.#end !== undefined || this.#closing.signal.aborted
  }

  async join(options: SubscriberOptions, signal?: AbortSignal): Promise<SubscriptionHandle> {
    this.#references++
    const left = options.after ? new AbortController() : undefined // costly per idle subscriber: created only when resuming
    let hasLeft = false
    let subscriber: Subscriber | undefined
    const leave = () => {
      if (hasLeft) return
      hasLeft = true
      left?.abort()
      if (subscriber) {
        this.#home.#subscribers.delete(subscriber)
        options.outbound.remove(subscriber)
      }
      this.#release()
    }
    try {
      await abortable(this.#opened, signal)
      await this.#request.source.live(signal) // the source may have opened before an outage that still lasts
      const end = this.#home.#end
      if (end) throw end
      subscriber = left
        ? await this.#resume(options, signal ? AbortSignal.any([left.signal, signal]) : left.signal)
        : this.#add(
            new Subscriber(options.id, this.#home.#flushed(), undefined, options.account),
            options.outbound,
          )
    } catch (error) {
      leave()
      throw error
    }
    return { leave, position: () => subscriber?.position(this.#home.#live()) }
  }

  /** Moves the group to the new schema, or ends it. */
  async renew(): Promise<void> {
    try {
      const next = await this.#request.renew()
      if (!next || this.isOver) return // all subscribers may have left meanwhile
      this.#replace(next)
      // The pump waits for this, so no event falls between the former source and one that takes time to open.
      if (next.source.topic.kind === 'table') await this.#opened
    } catch (error) {
      this.#finish(
        error instanceof ListenqlError ? error : new ListenqlError('SCHEMA_CHANGED', messageOf(error)),
      )
    }
  }

  /** Moves the subscribers of this group to the stream of another group, whose request has become equal. */
  mergeInto(heir: Group): void {
    const from = this.#flushed()
    const into = heir.#flushed()
    const seen = this.#request.source.replay?.position()
    for (const [subscriber, outbound] of this.#subscribers) {
      if (subscriber.isOn(from)) subscriber.join(into, seen)
      heir.#subscribers.set(subscriber, outbound)
    }
    this.#subscribers.clear()
    heir.#references++
    this.#heir = heir
    this.#stop()
  }

  /**
   * Work that is done once for all subscribers is paid for by the first subscriber. When its account is overdrawn it is expelled, and
   * the next subscriber pays. So no subscription ends because another subscriber with an equal request has spent too much elsewhere.
   */
  readonly #account: Account = {
    refusal: () => {
      let last: LimitExceeded | undefined
      for (const [subscriber, outbound] of this.#home.#subscribers) {
        const refusal = subscriber.account?.refusal()
        if (!refusal) return undefined
        this.#expel(subscriber, outbound, refusal)
        last = refusal
      }
      return last
    },
    pay: steps => {
      const [first] = this.#home.#subscribers.keys()
      first?.account?.pay(steps)
    },
  }

  /** Ends one subscriber: it gets the frames that wait for it, and then the error. */
  #expel(subscriber: Subscriber, outbound: Outbound, error: ListenqlError): void {
    this.#home.#subscribers.delete(subscriber)
    const own = new FrameStream(this.#options.memory.wait)
    subscriber.join(own, undefined)
    own.push(this.#finalFrame(error))
    outbound.notify(subscriber)
  }

  /** The group that now has the subscribers: this one, or the last of those that it has merged into. */
  get #home(): Group {
    let home: Group = this
    while (home.#heir) home = home.#heir
    return home
  }

  #add(subscriber: Subscriber, outbound: Outbound): Subscriber {
    this.#home.#subscribers.set(subscriber, outbound)
    return subscriber
  }

  /** The stream, after all pending events have been rendered. */
  #flushed(): FrameStream {
    this.#render()
    return this.#stream
  }

  /** The position of a subscriber that has taken all frames. Undefined: the source has ended, or events are not rendered yet. */
  #live() {
    return this.#end || this.#pending.size > 0 ? undefined : this.#request.source.replay?.start()
  }

  #replay(): Replay<unknown> {
    const past = this.#home.#request.source.replay
    if (!past) throw noHistory()
    return past
  }

  /** Reads the first page before it resolves, so that a cursor that must be refused is refused at once. */
  async #resume(
    { id, outbound, after, account }: SubscriberOptions,
    signal: AbortSignal,
  ): Promise<Subscriber> {
    const position = after as NonNullable<typeof after>
    const first = await abortable(this.#replay().read(position, signal, account), signal)
    const own = new FrameStream(this.#options.memory.wait)
    const subscriber = this.#add(new Subscriber(id, own, position, account), outbound)
    const notify = () => outbound.notify(subscriber)
    const finish = (error: ListenqlError) => {
      own.push(this.#finalFrame(error))
      notify()
    }
    catchUp({
      replay: () => this.#replay(),
      after: position,
      first,
      own,
      group: () => this.#home.#flushed(),
      subscriber,
      push: event => own.push(this.#home.#renderer.shared(event)),
      notify,
      account,
      signal,
    }).then(
      () => {
        // The group may have ended before this subscriber joined its stream, so that the final frame is not in what it still takes.
        const end = this.#home.#end
        if (end && !signal.aborted) this.#expel(subscriber, outbound, end)
      },
      (error: unknown) => {
        if (signal.aborted) return
        if (error instanceof ListenqlError) return finish(error)
        this.#options.observe({
          type: 'fault',
          id: 'replay',
          message: 'the event log could not be replayed',
          error,
        })
        finish(new ListenqlError('DATABASE_FAILED', 'the event log could not be read'))
      },
    )
    return subscriber
  }

  #open({ source }: SubscriptionRequest<unknown>, continuesAfter?: Position): Promise<Stop> {
    const { scheduler, backpressure } = this.#options
    const opened = source.open(
      {
        event: event => {
          if (this.#end) return
          this.#pending.push(event)
          scheduler.due(this.#work)
          backpressure.took(source.sizeOf(event))
        },
        end: error => this.#finish(error),
        account: this.#account,
        continuesAfter,
      },
      this.#closing.signal,
    )
    opened.then(
      () => {
        this.#isOpen = true
      },
      () => undefined, // each subscriber that joins gets the error
    )
    return opened
  }

  #render(isOver: () => boolean = () => false): void {
    if (this.#pending.size === 0) return
    do this.#stream.push(this.#renderer.fresh(this.#pending.shift()))
    while (this.#pending.size > 0 && !isOver())
    this.#notify()
  }

  #notify(): void {
    for (const [subscriber, outbound] of this.#subscribers) outbound.notify(subscriber)
  }

  /**
   * The new source of a table delivers from the step in which it opens, and the former one stops after that: no event falls
   * between them.
   */
  #replace(next: SubscriptionRequest<unknown>): void {
    this.#render() // events of the former schema are rendered by it
    const former = this.#opened
    const at = this.#request.source.replay?.position()
    this.#request = next
    this.#renderer = createRenderer(next, this.#options)
    if (next.source.topic.kind !== 'table') return // a channel is the same under every schema
    this.#opened = this.#open(next, at)
    former.then(
      stop => stop(),
      () => undefined,
    )
  }

  #finish(error: ListenqlError): void {
    if (this.#end) return
    this.#render()
    this.#end = error
    this.#onEmpty() // from now on an equal request creates another group
    this.#stream.push(this.#finalFrame(error))
    this.#notify()
  }

  #finalFrame(error: ListenqlError) {
    return createFrame(this.#request.renderEnd(error), undefined, undefined, { isFinal: true })
  }

  #release(): void {
    if (--this.#references > 0) return
    if (this.#heir) this.#heir.#release()
    else this.#stop()
  }

  #stop(): void {
    this.#onEmpty()
    this.#closing.abort()
    this.#opened.then(
      stop => stop(),
      () => undefined,
    )
  }
}
