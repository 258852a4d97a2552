import {
  type Client,
  type ConnectionInitMessage,
  createClient as createGraphqlWsClient,
  type FormattedExecutionResult,
  type ClientOptions as GraphqlWsOptions,
  type SubscribePayload,
} from 'graphql-ws/client'
import { createBackoff } from './connection/backoff.js'
import { type ConnectionStatus, createStatusTracker } from './connection/connection-status.js'
import { isWorthRetrying } from './connection/is-worth-retrying.js'
import { watchPage } from './connection/page-watch.js'
import { createSocketWatch, withWatchedSockets } from './connection/socket-watch.js'
import { createTokenRenewal } from './connection/token-renewal.js'
import { MISSING_WEB_SOCKET, webSocketOf } from './connection/web-socket.js'
import { createFollowers } from './followers.js'
import { iterate } from './iterate.js'
import type { Store } from './store/store.js'
import type { ResumingSink } from './subscription/resuming-sink.js'

const OPEN_STATE = 1

/** The options of graphql-ws's `createClient`, with other defaults, and two additional ones. */
export interface ClientOptions<P extends ConnectionInitMessage['payload'] = ConnectionInitMessage['payload']>
  extends GraphqlWsOptions<P> {
  /** Longest time for connecting, including the server's acknowledgement, in ms. Default: 10,000. */
  connectTimeout?: number
  /** Longest silence after a ping of this client before the connection counts as dead, in ms. Default: 5,000. */
  pongTimeout?: number
}

/** A client of graphql-ws that also tells about its connection. */
export interface ListenqlClient extends Client {
  /** The state of the connection, for an indicator: connecting, live, offline since when. */
  readonly status: Store<ConnectionStatus>
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
 * connection, and the client reconnects; `lazyCloseTimeout` 3,000 ms in browsers, so that another filter needs no other connection.
 * Close codes that are fatal for graphql-ws, such as 4400 and 4401, are fatal here.
 *
 * When a browser reports that the network is back or the page is shown again, the client reconnects without waiting, or checks its
 * connection. If `connectionParams` is a function and contains a JWT, the client calls it again before the token expires, and
 * reconnects with the newer token.
 *
 * Without a WebSocket (on a server, Node before 22) and without `webSocketImpl`, each operation ends with an error.
 */
export function createClient<P extends ConnectionInitMessage['payload'] = ConnectionInitMessage['payload']>(
  options: ClientOptions<P>,
): ListenqlClient {
  const { connectTimeout = 10_000, pongTimeout = 5_000, connectionParams, ...given } = options
  const tracker = createStatusTracker()
  const followers = createFollowers(tracker.resumed, given.generateID)
  const backoff = createBackoff(given.retryWait)
  const terminate = () => client.terminate()
  const watch = createSocketWatch({ connectTimeout, pongTimeout, terminate })
  const webSocketImpl = webSocketOf(given.webSocketImpl)
  const renewal =
    typeof connectionParams === 'function'
      ? createTokenRenewal<P | undefined>({
          connectionParams,
          isSafe: () => !followers.areMutating,
          reconnect() {
            backoff.skipNext()
            terminate()
            watch.silence()
          },
        })
      : undefined
  const client = createGraphqlWsClient<P>({
    ...given,
    // graphql-ws takes a function without a result, too.
    connectionParams: (renewal?.connectionParams ??
      connectionParams) as GraphqlWsOptions<P>['connectionParams'],
    keepAlive: given.keepAlive ?? 10_000,
    lazyCloseTimeout: given.lazyCloseTimeout ?? ('window' in globalThis ? 3_000 : 0),
    retryAttempts: given.retryAttempts ?? Number.POSITIVE_INFINITY,
    retryWait: backoff.wait,
    shouldRetry: given.shouldRetry ?? isWorthRetrying,
    webSocketImpl: withWatchedSockets(webSocketImpl, watch.created),
    generateID: followers.idOf,
  })
  let socket: { readonly readyState: number; send(text: string): void } | undefined
  client.on('connecting', tracker.connecting)
  client.on('connected', connected => {
    socket = connected as typeof socket
    watch.heard()
    tracker.connected(followers.areResuming)
  })
  client.on('message', watch.received)
  client.on('pong', received => {
    if (received) watch.heard()
  })
  client.on('ping', (received, payload) => {
    if (received) followers.moved(payload)
    else watch.asked()
  })
  client.on('closed', () => {
    socket = undefined
    watch.gone()
    renewal?.gone()
    followers.interrupted()
    tracker.closed(followers.size === 0)
  })
  client.on('error', watch.gone)
  const leavePage = watchPage(() => {
    if (!socket) return backoff.cancel()
    if (watch.isAsked || socket.readyState !== OPEN_STATE) return
    socket.send('{"type":"ping"}')
    watch.asked()
  })

  const subscribe: ListenqlClient['subscribe'] = (payload, sink) => {
    if (webSocketImpl !== MISSING_WEB_SOCKET) return followers.follow(client, payload, sink)
    let hasLeft = false
    queueMicrotask(() => {
      if (!hasLeft) sink.error(new Error('no WebSocket: pass `webSocketImpl`, such as ws'))
    })
    return () => {
      hasLeft = true
    }
  }
  return {
    on: client.on,
    status: tracker.store,
    subscribe,
    iterate: payload => iterate(sink => subscribe(payload, sink)),
    async dispose() {
      leavePage()
      renewal?.gone()
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
