import type { TypedEventTarget } from '@graphql-yoga/typed-event-target'
import { ListenqlError } from '../lib/errors.js'
import { assertChannelName } from '../postgres/channel-name.js'
import { connectionOptions } from '../postgres/conninfo.js'
import { Listener } from '../postgres/listener.js'
import { createPool } from '../postgres/pool.js'
import { toEvent, toPayload } from './event-payload.js'
import type { PostgresEventTargetOptions } from './options.js'
import { createOrderedSender } from './ordered-sender.js'
import { createPacedListener, type PacedListener } from './paced-listener.js'

/** Longest wait for a connection or a response, interval of the heartbeat, longest pause before reconnecting: in ms. */
const TIMEOUT_MS = 10_000

/** What `createPostgresEventTarget` returns: an EventTarget over the channels of a Postgres. */
export interface PostgresEventTarget<Event extends CustomEvent = CustomEvent>
  extends TypedEventTarget<Event> {
  /**
   * Resolves once LISTEN has returned for every topic that has a listener now: later events are not missed. Waits while
   * the database is down.
   * @throws ListenqlError EVENT_TARGET_CLOSED
   */
  ready(): Promise<void>
  /** Sends the dispatched events, and closes the connections. Idempotent. Listeners get no more events, and no end. */
  close(): Promise<void>
}

interface Topic {
  /** By callback. */
  readonly listeners: Map<unknown, PacedListener>
  readonly released: AbortController
  state: 'new' | 'listening' | 'missed'
}

/**
 * An event target for `createPubSub` of @graphql-yoga/subscription: an event's type is a channel of Postgres, its detail the
 * payload. One LISTEN connection feeds all listeners. `dispatchEvent` is a NOTIFY, in the order of the calls; it never throws,
 * since the change that it announces may be committed already.
 *
 * createPubSub's iterators throw once 1,024 events wait. This target therefore delivers a burst in slices, keeps an event that a
 * listener refused to deliver it again, and pauses reading from Postgres while listeners that do read lag behind. A listener that
 * does not read is removed at `maxWaiting`; if it is an iterator and is read later, it returns the events it held, then the error.
 * @throws ListenqlError BAD_CONFIGURATION; `addEventListener` CHANNEL_NAME_INVALID (63 bytes at most), EVENT_TARGET_CLOSED
 */
export function createPostgresEventTarget<Event extends CustomEvent = CustomEvent>(
  options: PostgresEventTargetOptions = {},
): PostgresEventTarget<Event> {
  const { serializer = JSON, maxWaiting = 20_000, observe = () => undefined, onGap } = options
  const onError = options.onError ?? (error => process.emitWarning(error))
  const config = { ...connectionOptions(options.connectionString), ...options.connection }
  const topics = new Map<string, Topic>()
  const strained = new Set<PacedListener>()
  const closing = new AbortController()
  let closed: Promise<void> | undefined

  const pool = createPool({ ...config, query_timeout: TIMEOUT_MS }, TIMEOUT_MS, { max: 1 })
  const sender = createOrderedSender(pool)
  const listener = new Listener({
    config,
    lend: pool.lend,
    heartbeat: TIMEOUT_MS,
    connectTimeout: TIMEOUT_MS,
    reconnectMax: TIMEOUT_MS,
    observe,
  })
  listener.attach({
    onNotification(name, payload) {
      const topic = topics.get(name)
      if (!topic) return // it was sent before UNLISTEN took effect
      announce([name]) // a notification may arrive before the answer to LISTEN
      try {
        const event = toEvent(serializer, name, payload)
        for (const paced of topic.listeners.values()) paced.push(event)
      } catch (error) {
        report(error)
      }
    },
    onLost() {
      for (const topic of topics.values()) if (topic.state === 'listening') topic.state = 'missed'
    },
    onListening: announce,
  })
  listener.start()

  /** In a microtask: an error thrown by the application's function must not interrupt this code. */
  function report(error: unknown): void {
    queueMicrotask(() => onError(error instanceof Error ? error : new Error(String(error))))
  }

  function announce(names: readonly string[]): void {
    const missed = names.filter(name => topics.get(name)?.state === 'missed')
    for (const name of names) {
      const topic = topics.get(name)
      if (topic) topic.state = 'listening'
    }
    if (missed.length > 0 && onGap) queueMicrotask(() => onGap(missed))
  }

  function provideTopic(name: string): Topic {
    let topic = topics.get(name)
    if (!topic) {
      const added: Topic = { listeners: new Map(), released: new AbortController(), state: 'new' }
      topics.set(name, added)
      // If its UNLISTEN was not sent yet, there is no new LISTEN, and onListening is not called.
      listener.listen(name).then(() => {
        if (added.state === 'new') added.state = 'listening'
      }, report)
      topic = added
    }
    return topic
  }

  /** Does not close the paced listener: after an overflow it still has its last event to deliver. */
  function forget(name: string, callback: unknown): PacedListener | undefined {
    const topic = topics.get(name)
    const paced = topic?.listeners.get(callback)
    if (topic?.listeners.delete(callback) && topic.listeners.size === 0) {
      topics.delete(name)
      topic.released.abort()
      listener.unlisten(name)
    }
    return paced
  }

  function pace(name: string, callback: unknown, deliver: (event: CustomEvent) => void): PacedListener {
    const tooSlow = new ListenqlError(
      'SUBSCRIBER_TOO_SLOW',
      `a listener on channel '${name}' was removed: ${maxWaiting} events were waiting for it`,
    )
    const paced = createPacedListener({
      deliver,
      maxWaiting,
      onError: report,
      onStrain(isStrained) {
        if (isStrained) strained.add(paced)
        else strained.delete(paced)
        if (strained.size > 0) listener.pause()
        else listener.resume()
      },
      onOverflow() {
        forget(name, callback)
        report(tooSlow)
      },
      lastWord() {
        // A Repeater that gets a rejecting promise ends with its reason, after the events that it still holds.
        const detail = Promise.reject(tooSlow)
        detail.catch(() => undefined)
        return new CustomEvent(name, { detail })
      },
    })
    return paced
  }

  return {
    addEventListener<Current extends Event>(
      ...[name, callback, how]: Parameters<TypedEventTarget<Current>['addEventListener']>
    ) {
      const { once = false, signal } = typeof how === 'object' ? how : {}
      if (!callback || signal?.aborted) return
      if (closing.signal.aborted) throw new ListenqlError('EVENT_TARGET_CLOSED', 'the event target is closed')
      assertChannelName(name)
      const { listeners } = provideTopic(name)
      if (listeners.has(callback)) return
      const remove = () => forget(name, callback)?.close()
      const deliver = (event: CustomEvent) => {
        if (once) remove()
        if (typeof callback === 'function') callback(event as Current)
        else callback.handleEvent(event as Current)
      }
      listeners.set(callback, pace(name, callback, deliver))
      signal?.addEventListener('abort', remove, { once: true })
    },
    removeEventListener(name, callback) {
      if (callback) forget(name, callback)?.close()
    },
    dispatchEvent(event) {
      try {
        assertChannelName(event.type)
        sender.send(event.type, toPayload(serializer, event.detail), report)
      } catch (error) {
        report(error)
      }
      return true
    },
    async ready() {
      const waiting = [...topics].map(([name, { released }]) =>
        listener
          .whenListening(name, AbortSignal.any([released.signal, closing.signal]))
          .catch(() => undefined),
      )
      await Promise.all(waiting)
      if (closing.signal.aborted) throw new ListenqlError('EVENT_TARGET_CLOSED', 'the event target is closed')
    },
    close() {
      closed ??= (async () => {
        closing.abort()
        for (const topic of topics.values()) for (const paced of topic.listeners.values()) paced.close()
        topics.clear()
        await Promise.all([listener.close(), sender.close()])
      })()
      return closed
    },
  } satisfies PostgresEventTarget<Event>
}
