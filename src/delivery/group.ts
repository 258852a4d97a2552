import { noHistory, type Stop } from '../events/source.js'
import { abortable } from '../lib/abort.js'
import { ListenqlError, messageOf } from '../lib/errors.js'
import { catchUp } from './catch-up.js'
import { FrameStream } from './frame-stream.js'
import type { Outbound } from './outbound.js'
import type { GroupOptions, Member, Membership, Request } from './request.js'
import { Subscriber } from './subscriber.js'

/** Subscribers that ask the same: one source, one execution and one text for each event. */
export class Group {
  #request: Request<unknown>
  readonly #options: GroupOptions
  readonly #onEmpty: () => void
  readonly #stream = new FrameStream()
  readonly #subscribers = new Map<Subscriber, Outbound>()
  readonly #closing = new AbortController()
  #opened: Promise<Stop>
  /** Why the source ended. */
  #end: ListenqlError | undefined
  /** Subscribers, and those who still wait for the source. */
  #references = 0
  readonly #notify = () => {
    for (const [subscriber, outbound] of this.#subscribers) outbound.notify(subscriber)
  }

  constructor(request: Request<unknown>, options: GroupOptions, onEmpty: () => void) {
    this.#request = request
    this.#options = options
    this.#onEmpty = onEmpty
    this.#opened = this.#open(request)
  }

  get size(): number {
    return this.#subscribers.size
  }

  async join(member: Member, signal?: AbortSignal): Promise<Membership> {
    this.#references++
    const left = new AbortController()
    let subscriber: Subscriber | undefined
    const leave = () => {
      if (left.signal.aborted) return
      left.abort()
      if (subscriber) {
        this.#subscribers.delete(subscriber)
        member.outbound.remove(subscriber)
      }
      if (--this.#references === 0) this.#close()
    }
    try {
      await abortable(this.#opened, signal)
      await this.#request.source.live(signal) // the group may be older than an outage that is not over
      if (this.#end) throw this.#end
      subscriber = member.after
        ? await this.#resume(member, signal ? AbortSignal.any([left.signal, signal]) : left.signal)
        : this.#add(new Subscriber(member.id, this.#stream), member.outbound)
    } catch (error) {
      leave()
      throw error
    }
    const joined = subscriber
    const live = () => (this.#end ? undefined : this.#request.source.replay?.start())
    return { leave, position: () => joined.position(live()) }
  }

  /** The schema was built again. */
  async renew(): Promise<void> {
    try {
      const next = await this.#request.renew()
      if (next && !this.#closing.signal.aborted && !this.#end) this.#replace(next) // all may have left meanwhile
    } catch (error) {
      this.#finish(
        error instanceof ListenqlError ? error : new ListenqlError('SCHEMA_CHANGED', messageOf(error)),
      )
    }
  }

  #add(subscriber: Subscriber, outbound: Outbound): Subscriber {
    this.#subscribers.set(subscriber, outbound)
    outbound.add(subscriber)
    return subscriber
  }

  /** Reads the first page before it accepts: a position that is refused is refused at once. */
  async #resume({ id, outbound, after }: Member, signal: AbortSignal): Promise<Subscriber> {
    const replay = () => {
      const past = this.#request.source.replay
      if (!past) throw noHistory()
      return past
    }
    const position = after as NonNullable<typeof after>
    const first = await abortable(replay().read(position, signal), signal)
    const own = new FrameStream()
    const subscriber = this.#add(new Subscriber(id, own, position), outbound)
    const notify = () => outbound.notify(subscriber)
    const finish = (error: ListenqlError) => {
      own.push(this.#request.renderEnd(error), undefined, undefined, { isFinal: true })
      notify()
    }
    catchUp({
      replay,
      after: position,
      first,
      own,
      group: this.#stream,
      subscriber,
      push: (stream, event) => this.#push(stream, event),
      notify,
      signal,
    }).then(
      () => {
        // The group's last frame went by before this one joined.
        if (this.#end && !signal.aborted) finish(this.#end)
      },
      (error: unknown) => {
        if (signal.aborted) return
        if (error instanceof ListenqlError) return finish(error)
        this.#options.observe({
          type: 'fault',
          id: 'replay',
          message: 'the log could not be replayed',
          error,
        })
        finish(new ListenqlError('DATABASE_FAILED', 'the event log could not be read'))
      },
    )
    return subscriber
  }

  #open({ source }: Request<unknown>): Promise<Stop> {
    const opened = source.open(
      {
        event: event => {
          if (this.#end) return
          this.#push(this.#stream, event)
          this.#options.turn.due(this.#notify)
        },
        end: error => this.#finish(error),
      },
      this.#closing.signal,
    )
    opened.catch(() => undefined) // each who joins is told
    return opened
  }

  #push(stream: FrameStream, event: unknown): void {
    const { maxEvent, pressure, observe } = this.#options
    const { source, render, renderTooLarge } = this.#request
    let text = render(event)
    let bytes = Buffer.byteLength(text)
    if (bytes > maxEvent) {
      observe({ type: 'event.too-large', topic: source.topic.name, bytes, limit: maxEvent })
      text = renderTooLarge(event, bytes)
      bytes = Buffer.byteLength(text)
    }
    stream.push(text, bytes, source.positionOf(event), { endsHistory: source.endsHistory(event) })
    pressure.took(bytes)
  }

  /** A table's source tells nothing before it is opened and all afterwards, in the same step: nothing falls between the two. */
  #replace(next: Request<unknown>): void {
    const former = this.#opened
    this.#request = next
    if (next.source.topic.kind !== 'table') return // a channel is the same under every schema
    this.#opened = this.#open(next)
    former.then(
      stop => stop(),
      () => undefined,
    )
  }

  #finish(error: ListenqlError): void {
    if (this.#end) return
    this.#end = error
    this.#onEmpty() // whoever comes now founds another group
    this.#stream.push(this.#request.renderEnd(error), undefined, undefined, { isFinal: true })
    this.#options.turn.due(this.#notify)
  }

  #close(): void {
    this.#onEmpty()
    this.#closing.abort()
    this.#opened.then(
      stop => stop(),
      () => undefined,
    )
  }
}
