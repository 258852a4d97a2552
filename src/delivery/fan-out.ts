import { Fifo } from '../lib/fifo.js'
import type { GroupOptions } from './group-options.js'
import type { Outbound } from './outbound.js'
import { createRenderer, type Renderer } from './renderer.js'
import { type Frame, FrameStream } from './stream.js'
import type { Subscriber } from './subscriber.js'
import type { SubscriptionRequest } from './subscription.js'

/**
 * From the events of a group to the connections of its subscribers: each event is rendered once, and its frame is appended to the one
 * stream that all subscribers read. Frames are in the order of the events, without a hole.
 */
export class FanOut {
  /** The subscribers that are notified of new frames, each with its connection, in the order in which they joined. */
  readonly subscribers = new Map<Subscriber, Outbound>()
  readonly #options: GroupOptions
  #stream: FrameStream
  #renderer: Renderer
  #source: SubscriptionRequest<unknown>['source']
  /** The newest frame of an event. */
  #latest: Frame | undefined
  /** Events that are not rendered yet. */
  readonly #pending = new Fifo<unknown>()
  readonly #work = () => {
    this.#renderInTime(() => this.#options.scheduler.isOver)
    if (this.hasPending) this.#options.scheduler.due(this.#work)
  }

  constructor(request: SubscriptionRequest<unknown>, options: GroupOptions) {
    this.#options = options
    this.#stream = new FrameStream(options.memory.wait)
    this.#renderer = createRenderer(request, options)
    this.#source = request.source
  }

  /** Whether events wait to be rendered. */
  get hasPending(): boolean {
    return this.#pending.size > 0
  }

  /** The frame of the newest event, after all pending events have been rendered. Undefined: there was none. */
  get latest(): Frame | undefined {
    this.#render()
    return this.#latest
  }

  /** The stream, to which the frames of pending events will be appended. */
  get stream(): FrameStream {
    return this.#stream
  }

  /** Takes an event, which is rendered at the end of this turn of the event loop; a large one takes several turns. */
  push(event: unknown): void {
    this.#pending.push(event)
    this.#options.scheduler.due(this.#work)
  }

  /** The stream, after all pending events have been rendered. */
  flushed(): FrameStream {
    this.#render()
    return this.#stream
  }

  /** Later events go to another stream, which the subscribers have to join. */
  beginStream(): void {
    this.#render()
    this.#stream = new FrameStream(this.#options.memory.wait)
  }

  /** Renders later events by this request, and pending events by the former one. */
  renderBy(request: SubscriptionRequest<unknown>): void {
    this.#render()
    this.#renderer = createRenderer(request, this.#options)
    this.#source = request.source
  }

  /** The frame of an event of the past, which several subscribers may replay. */
  replayed(event: unknown): Frame {
    return this.#renderer.shared(event)
  }

  /** Forgets the events that are not rendered yet. */
  drop(): void {
    this.#pending.clear()
  }

  /** Sends a frame that belongs to no event, after those of all pending events. */
  send(frame: Frame): void {
    this.flushed().push(frame)
    this.#notify()
  }

  #render(): void {
    if (!this.hasPending) return
    while (this.hasPending) this.#renderNext()
    this.#notify()
  }

  /** Renders at least a part of an event. */
  #renderInTime(isOver: () => boolean): void {
    let hasRendered = false
    while (this.hasPending && this.#renderer.prepare(this.#pending.peek(), isOver)) {
      this.#renderNext()
      hasRendered = true
      if (isOver()) break
    }
    if (hasRendered) this.#notify()
  }

  #renderNext(): void {
    const event = this.#pending.shift()
    this.#latest = this.#renderer.fresh(event)
    this.#stream.push(this.#latest)
    const { delays } = this.#options
    if (delays) delays.rendered(this.#source.topic.kind, this.#source.madeAt(event))
  }

  #notify(): void {
    for (const [subscriber, outbound] of this.subscribers) outbound.notify(subscriber)
  }
}
