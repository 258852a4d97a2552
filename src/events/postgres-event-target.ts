import type { TypedEventTarget } from '@graphql-yoga/typed-event-target'
import type pg from 'pg'
import { connectionOptions } from '../database/conninfo.js'
import { Listener } from '../database/listener.js'
import { createPool } from '../database/pool.js'
import { ListenqlError } from '../lib/errors.js'
import type { Observe } from '../lib/observation.js'
import { assertChannelName } from './channel-name.js'
import { createPacedListener, type PacedListener } from './paced-listener.js'

export interface PostgresEventTargetOptions {
  /** A URL or a libpq keyword string; default: the PG* environment variables. */
  readonly connectionString?: string
  /** More for pg, such as `ssl`; wins over the connection string. */
  readonly connection?: pg.ClientConfig
  /** How an event's `detail` becomes a payload and back; default JSON. */
  readonly serializer?: {
    readonly stringify: (detail: unknown) => string
    readonly parse: (payload: string) => unknown
  }
  /** Events that may wait for one listener before it is removed, in events; default 100,000. */
  readonly maxWaiting?: number
  /** Told what goes wrong where nobody can be thrown at: a failed NOTIFY, a payload that does not parse, a listener that is removed. Default: a process warning. */
  readonly onError?: (error: Error) => void
  /** The LISTEN connection was lost and is back: notifications on these channels may have been missed. */
  readonly onGap?: (channels: readonly string[]) => void
  /** Takes the observations of the connection, for a log. */
  readonly observe?: Observe
}

type Callback = ((event: CustomEvent) => void) | { handleEvent(event: CustomEvent): void }

export interface PostgresEventTarget<Event extends CustomEvent = CustomEvent>
  extends TypedEventTarget<Event> {
  /** Resolves once LISTEN has returned for every channel that has a listener now: events from then on are not missed. */
  ready(): Promise<void>
  /** Closes the connections. Idempotent. */
  close(): Promise<void>
}

/**
 * An event target for `createPubSub` of @graphql-yoga/subscription: an event's type is a channel of Postgres, its detail the
 * payload. One LISTEN connection feeds all listeners; `dispatchEvent` is a NOTIFY, in the order of the calls.
 *
 * createPubSub's iterators throw once 1,024 events wait. This target therefore hands out a burst in slices, so that a reader
 * that reads keeps up, and keeps what a listener refused to hand it out again.
 * @throws ListenqlError BAD_CONFIGURATION
 */
export function createPostgresEventTarget<Event extends CustomEvent = CustomEvent>(
  options: PostgresEventTargetOptions = {},
): PostgresEventTarget<Event> {
  const { serializer = JSON, maxWaiting = 100_000, observe = () => undefined, onGap } = options
  const onError = options.onError ?? (error => process.emitWarning(error))
  const config = { ...connectionOptions(options.connectionString), ...options.connection }
  const channels = new Map<string, Map<Callback, PacedListener>>()
  let missed: string[] = []

  const pool = createPool(config, 10_000, 1) // one connection keeps NOTIFYs in order
  const listener = new Listener({
    config,
    heartbeat: 10_000,
    connectTimeout: 10_000,
    reconnectMax: 10_000,
    observe,
    onNotification(channel, payload) {
      const listeners = channels.get(channel)
      if (!listeners) return
      let detail: unknown
      try {
        detail = serializer.parse(payload)
      } catch (cause) {
        return onError(
          new Error(`a payload on channel '${channel}' does not parse: ${payload.slice(0, 80)}`, { cause }),
        )
      }
      const event = new CustomEvent(channel, { detail })
      for (const paced of listeners.values()) paced.push(event)
    },
    onLost() {
      missed = [...channels.keys()]
    },
    onListening() {
      if (missed.length > 0) onGap?.(missed)
      missed = []
    },
  })
  listener.start()

  const target = {
    addEventListener(type: string, callback: Callback | null) {
      if (!callback) return
      assertChannelName(type)
      let listeners = channels.get(type)
      if (!listeners) {
        listeners = new Map()
        channels.set(type, listeners)
        void listener.listen(type)
      }
      if (listeners.has(callback)) return
      const paced = createPacedListener({
        deliver: event => ('handleEvent' in callback ? callback.handleEvent(event) : callback(event)),
        maxWaiting,
        onError,
        onOverflow: () => {
          target.removeEventListener(type, callback)
          onError(
            new ListenqlError(
              'SUBSCRIBER_TOO_SLOW',
              `a listener on channel '${type}' was removed: ${maxWaiting} events were waiting for it`,
            ),
          )
        },
      })
      listeners.set(callback, paced)
    },
    removeEventListener(type: string, callback: Callback | null) {
      const listeners = channels.get(type)
      if (!callback || !listeners) return
      listeners.get(callback)?.close()
      if (!listeners.delete(callback) || listeners.size > 0) return
      channels.delete(type)
      listener.unlisten(type)
    },
    dispatchEvent(event: CustomEvent) {
      assertChannelName(event.type)
      pool.notify(event.type, serializer.stringify(event.detail)).catch(onError)
      return true
    },
  }
  return {
    ...(target as unknown as TypedEventTarget<Event>),
    ready: async () =>
      void (await Promise.all([...channels.keys()].map(channel => listener.whenListening(channel)))),
    close: async () => {
      for (const listeners of channels.values()) for (const paced of listeners.values()) paced.close()
      channels.clear()
      await Promise.all([listener.close(), pool.close()])
    },
  }
}
