import type { EventSource, Stop } from '../events/source.js'
import { abortable } from '../lib/abort.js'
import type { Observe } from '../lib/observation.js'
import { FrameStream } from './frame-stream.js'
import type { Outbound } from './outbound.js'
import type { Pressure } from './pressure.js'
import { Subscriber } from './subscriber.js'
import type { Turn } from './turn.js'

/** What a subscription asks for. Equal keys get equal frames: the first subscriber's `source` and `render` serve all of them. */
export interface Request<Event> {
  readonly key: string
  readonly source: EventSource<Event>
  /** Turns an event into what is sent. Synchronous, and never throws. */
  readonly render: (event: Event) => string
  /** What is sent instead of an event that is larger than `maxEvent`. */
  readonly renderTooLarge: (event: Event, bytes: number) => string
}

export interface GroupsOptions {
  /** Largest event that is delivered, in bytes as rendered. */
  readonly maxEvent: number
  readonly turn: Turn
  readonly pressure: Pressure
  readonly observe: Observe
}

/** Subscriptions that ask the same share one source, one execution and one text for each event. */
export interface Groups {
  /**
   * Joins the group of this request, or founds it. Resolves once no later event can be missed; `stop` leaves the group.
   * Rejects with what the source rejects with, or with the signal's reason.
   */
  join<Event>(request: Request<Event>, id: string, outbound: Outbound, signal?: AbortSignal): Promise<Stop>
  /** Number of groups, and of subscribers in them. */
  readonly size: { readonly groups: number; readonly subscribers: number }
}

export function createGroups(options: GroupsOptions): Groups {
  const groups = new Map<string, Group>()
  return {
    async join<Event>(request: Request<Event>, id: string, outbound: Outbound, signal?: AbortSignal) {
      let group = groups.get(request.key)
      if (!group) {
        group = new Group(request as Request<unknown>, options, () => groups.delete(request.key))
        groups.set(request.key, group)
      }
      return group.join(id, outbound, signal)
    },
    get size() {
      let subscribers = 0
      for (const group of groups.values()) subscribers += group.size
      return { groups: groups.size, subscribers }
    },
  }
}

class Group {
  readonly #request: Request<unknown>
  readonly #options: GroupsOptions
  readonly #onEmpty: () => void
  readonly #stream = new FrameStream()
  readonly #subscribers = new Map<Subscriber, Outbound>()
  readonly #closing = new AbortController()
  readonly #opened: Promise<Stop>
  /** Subscribers, and those who still wait for the source. */
  #references = 0
  readonly #notify = () => {
    for (const [subscriber, outbound] of this.#subscribers) outbound.notify(subscriber)
  }

  constructor(request: Request<unknown>, options: GroupsOptions, onEmpty: () => void) {
    this.#request = request
    this.#options = options
    this.#onEmpty = onEmpty
    this.#opened = request.source.open(event => this.#push(event), this.#closing.signal)
    this.#opened.catch(() => undefined) // each who joins is told
  }

  get size(): number {
    return this.#subscribers.size
  }

  async join(id: string, outbound: Outbound, signal?: AbortSignal): Promise<Stop> {
    this.#references++
    let subscriber: Subscriber | undefined
    let stopped = false
    const stop = () => {
      if (stopped) return
      stopped = true
      if (subscriber) {
        this.#subscribers.delete(subscriber)
        outbound.remove(subscriber)
      }
      if (--this.#references === 0) this.#close()
    }
    try {
      await abortable(this.#opened, signal)
      await this.#request.source.live(signal) // the group may be older than an outage that is not over
    } catch (error) {
      stop()
      throw error
    }
    subscriber = new Subscriber(id, this.#stream)
    this.#subscribers.set(subscriber, outbound)
    outbound.add(subscriber)
    return stop
  }

  #push(event: unknown): void {
    const { maxEvent, turn, pressure, observe } = this.#options
    let text = this.#request.render(event)
    let bytes = Buffer.byteLength(text)
    if (bytes > maxEvent) {
      observe({ type: 'event.too-large', topic: this.#request.source.topic.name, bytes, limit: maxEvent })
      text = this.#request.renderTooLarge(event, bytes)
      bytes = Buffer.byteLength(text)
    }
    this.#stream.push(text, bytes)
    turn.due(this.#notify)
    pressure.took(bytes)
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
