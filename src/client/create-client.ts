import {
  type Client,
  type ConnectionInitMessage,
  createClient as createGraphqlWsClient,
  type FormattedExecutionResult,
  type ClientOptions as GraphqlWsOptions,
  type SubscribePayload,
} from 'graphql-ws/client'
import { createBackoff } from './backoff.js'
import { createFollowers } from './followers.js'
import { isWorthRetrying } from './is-worth-retrying.js'
import { iterate } from './iterate.js'
import { createSocketWatch, withWatchedSockets } from './socket-watch.js'
import type { ResumingSink } from './subscription/resuming-sink.js'

/** The options of graphql-ws's `createClient`, with other defaults, and two additional ones. */
export interface ClientOptions<P extends ConnectionInitMessage['payload'] = ConnectionInitMessage['payload']>
  extends GraphqlWsOptions<P> {
  /** Longest time for connecting, including the server's acknowledgement, in ms. Default: 10,000. */
  connectTimeout?: number
  /** Longest silence after a ping of this client before the connection counts as dead, in ms. Default: 5,000. */
  pongTimeout?: number
}

/** A client of graphql-ws whose subscriptions can also learn about the connection. */
export interface ListenqlClient extends Client {
  /** Subscribes; the sink may have `accepted` and `interrupted`. @returns a function that unsubscribes */
  subscribe<Data = Record<string, unknown>, Extensions = unknown>(
    payload: SubscribePayload,
    sink: ResumingSink<FormattedExecutionResult<Data, Extensions>>,
  ): () => void
}

/**
 * A client of the protocol graphql-transport-ws, of the same type as graphql-ws's own. Its subscriptions get each event exactly
 * once even when the connection is lost: it remembers the last position of each subscription, and resumes after it when it has
 * reconnected, whether or not the document selects `cursor`.
 *
 * A position comes with each result (`extensions.cursor`) and with the server's pings. The client returns it as `extensions.after`,
 * together with any extensions of the request itself. If the server refuses it (`CURSOR_EXPIRED`, `CURSOR_INVALID`), or has a
 * schema that the operation no longer fits (`SCHEMA_CHANGED`), the subscription ends with that error.
 *
 * Defaults that differ from graphql-ws's: `retryAttempts` Infinity; `retryWait` a random time of up to a second, doubling to ten;
 * `shouldRetry` true except for errors that would occur again; `keepAlive` 10,000 ms: a ping without an answer ends the
 * connection, and the client reconnects. Close codes that are fatal for graphql-ws, such as 4400 and 4401, are fatal here.
 *
 * @throws Error if there is no WebSocket (Node before 22) and no `webSocketImpl`
 */
export function createClient<P extends ConnectionInitMessage['payload'] = ConnectionInitMessage['payload']>(
  options: ClientOptions<P>,
): ListenqlClient {
  const { connectTimeout = 10_000, pongTimeout = 5_000, ...given } = options
  const followers = createFollowers(given.generateID)
  const backoff = createBackoff()
  const watch = createSocketWatch({ connectTimeout, pongTimeout, terminate: () => client.terminate() })
  const client = createGraphqlWsClient<P>({
    ...given,
    keepAlive: given.keepAlive ?? 10_000,
    retryAttempts: given.retryAttempts ?? Number.POSITIVE_INFINITY,
    retryWait: given.retryWait ?? backoff.wait,
    shouldRetry: given.shouldRetry ?? isWorthRetrying,
    webSocketImpl: withWatchedSockets(given.webSocketImpl ?? globalThis.WebSocket, watch.created),
    generateID: followers.idOf,
  })
  client.on('connected', watch.heard)
  client.on('message', watch.received)
  client.on('pong', received => {
    if (received) watch.heard()
  })
  client.on('ping', (received, payload) => {
    if (received) followers.moved(payload)
    else watch.asked()
  })
  client.on('closed', () => {
    watch.gone()
    followers.interrupted()
  })
  client.on('error', watch.gone)

  const subscribe: ListenqlClient['subscribe'] = (payload, sink) => followers.follow(client, payload, sink)
  return {
    on: client.on,
    subscribe,
    iterate: payload => iterate(sink => subscribe(payload, sink)),
    async dispose() {
      followers.leave()
      const disposed = Promise.resolve(client.dispose())
      backoff.cancel()
      await disposed.catch(() => undefined) // it was connecting, without success
    },
    terminate() {
      client.terminate()
      watch.silence()
    },
  }
}
