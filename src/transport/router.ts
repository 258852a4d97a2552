import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { CloseCode, GRAPHQL_TRANSPORT_WS_PROTOCOL } from 'graphql-ws'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Viewer } from '../auth/viewer.js'
import type { ClientErrors } from '../graphql/errors.js'
import { ListenqlError, messageOf } from '../lib/errors.js'
import { LimitExceeded } from '../lib/limits/limit-exceeded.js'
import type { Observe } from '../lib/observation.js'
import { createOccasional } from '../lib/occasional.js'
import { type Admit, isRefused } from './admission.js'
import { allowOrigin, answerPreflight, varyBy } from './http/cors.js'
import type { GraphqlHttp } from './http/graphql-http.js'
import type { Page } from './http/page.js'
import { RETRY, refuseUpgrade, replyErrors, replyText, statusOf } from './http/reply.js'
import type { AddressLimits, Closing } from './limits/address-limits.js'
import type { ClientAddresses } from './limits/client-address.js'
import type { Origins } from './limits/origins.js'
import type { AcceptGraphqlWs } from './ws/graphql-ws.js'
import {
  LEGACY_PROTOCOL,
  LEGACY_REASON,
  pickProtocol,
  refuseLegacy,
  UNKNOWN_REASON,
} from './ws/legacy-protocol.js'
import type { Listen } from './ws/listen.js'
import { LOST_UPGRADE, lostItsUpgrade, UPGRADE_HEADERS } from './ws/lost-upgrade.js'
import { closeWebSocket } from './ws/sink.js'

export interface RouterOptions {
  /** Path that all routes are under: empty, or with a leading and no trailing slash. */
  readonly basePath: string
  /** Whether paths without it are accepted, too: a proxy in front of the server may have stripped it. */
  readonly isBasePathOptional: boolean
  readonly origins: Origins
  readonly admit: Admit
  readonly page: Page
  readonly graphqlHttp: GraphqlHttp
  readonly acceptGraphqlWs: AcceptGraphqlWs
  readonly listen: Listen
  readonly health: (path: string) => { status: number; body: unknown } | undefined
  /** Largest WebSocket message accepted from a client, in bytes. */
  readonly maxMessage: number
  /** Longest URL of a request, in bytes. */
  readonly maxUrl: number
  readonly addresses: ClientAddresses
  readonly addressLimits: AddressLimits
  readonly toClientError: ClientErrors
  readonly observe: Observe
}

export interface Router {
  onRequest(request: IncomingMessage, response: ServerResponse): void
  onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
}

/** A refused request: the status of HTTP, and the message for the client. */
interface Refusal {
  readonly status: number
  readonly message: string
  readonly headers?: Readonly<Record<string, string>>
  /** The limit that was exceeded, if that is the reason. */
  readonly excess?: LimitExceeded
}

const LISTEN = '/listen/'
/** Minimum between two log lines about the same fault of set-up, which makes a client reconnect again and again; in ms. */
const LINE_INTERVAL_MS = 600_000

export function createRouter(options: RouterOptions): Router {
  const {
    basePath,
    isBasePathOptional,
    origins,
    admit,
    page,
    graphqlHttp,
    acceptGraphqlWs,
    listen,
    health,
    maxMessage,
    maxUrl,
    addresses,
    addressLimits,
    toClientError,
    observe,
  } = options
  const shared = {
    noServer: true,
    clientTracking: false,
    maxPayload: maxMessage,
    perMessageDeflate: false,
    autoPong: false, // see keepWebSocketAlive
    // One message a turn: a client may reuse an id right after `complete`, and graphql-ws forgets the old one a moment later.
    allowSynchronousEvents: false,
  } as const
  const graphqlServer = new WebSocketServer({ ...shared, handleProtocols: pickProtocol })
  const listenServer = new WebSocketServer(shared)
  /** WebSockets that have completed their handshake. */
  const opened = new WeakMap<Duplex, WebSocket>()
  const isWorthALine = createOccasional(LINE_INTERVAL_MS)

  function check(request: IncomingMessage): Refusal | undefined {
    if (!origins.isHostAllowed(request)) {
      return {
        status: 421,
        message: `this server does not answer to the name '${request.headers.host}'; see --host and --url-base, and have a proxy pass the name on (nginx: proxy_set_header Host $host)\n`,
      }
    }
    if (!origins.isOriginAllowed(request)) {
      return {
        status: 403,
        message: `pages of '${request.headers.origin}' may not use this server; see --cors-origins\n`,
      }
    }
    return undefined
  }

  /** The path below the base path; undefined if it is not below it. */
  function pathOf({ pathname }: URL): string | undefined {
    if (pathname === basePath) return '/'
    if (pathname.startsWith(`${basePath}/`)) return pathname.slice(basePath.length)
    return isBasePathOptional ? pathname : undefined
  }

  /** The channel that a path names; undefined if it names none. Invalid percent-encoding is a refusal. */
  function channelOf(path: string): string | Refusal | undefined {
    if (!path.startsWith(LISTEN)) return undefined
    try {
      return decodeURIComponent(path.slice(LISTEN.length))
    } catch {
      return { status: 400, message: `the channel name in ${path} is not percent-encoded correctly` }
    }
  }

  /** The viewer that may listen to the channel, or the refusal. */
  async function listenerOf(channel: string, request: IncomingMessage): Promise<Viewer | Refusal> {
    const viewer = await admit({ transport: 'listen', request })
    if (isRefused(viewer)) return { ...viewer, message: `${viewer.error.message}\n` }
    try {
      listen.check(channel, viewer)
      return viewer
    } catch (error) {
      if (!(error instanceof ListenqlError)) throw error
      return { status: error.code === 'CHANNEL_NOT_ALLOWED' ? 403 : 400, message: error.message }
    }
  }

  /** Comes before every other check. */
  function checkLimits(request: IncomingMessage, carrier: Closing): Refusal | undefined {
    const { url = '' } = request
    const excess = addressLimits.check(request, carrier)
    if (excess) return { status: statusOf(excess), message: said(excess), headers: RETRY, excess }
    if (url.length <= maxUrl) return undefined
    const tooLong = new LimitExceeded('maxUrl', maxUrl, `The URL has more than ${maxUrl} bytes.`, 'use POST')
    return { status: 414, message: said(tooLong), excess: tooLong }
  }

  /** A full server is healthy: a balancer that thought otherwise would take away the clients that it serves. */
  function isHealthOfFullServer({ excess }: Refusal, request: IncomingMessage): boolean {
    if (excess?.limit !== 'maxConnections' || !origins.isHostAllowed(request)) return false
    const url = urlOf(request)
    return health((url && pathOf(url)) ?? '') !== undefined
  }

  function noteRefusal(transport: string, request: IncomingMessage, { status, message }: Refusal): void {
    if (status === 429 && !addressLimits.isNews(request)) return
    observe({
      type: 'request.refused',
      transport,
      remote: addresses.of(request),
      status,
      message: message.trim(),
    })
  }

  async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // Before any refusal: an allowed page must be able to read the reason.
    varyBy(response, 'origin')
    const isAllowed = origins.isOriginAllowed(request)
    if (isAllowed) allowOrigin(request, response, origins.isOriginTrusted(request))
    const excess = checkLimits(request, response)
    // A browser shows the response of a request only if its preflight request succeeded.
    if (request.method === 'OPTIONS' && isAllowed && origins.isHostAllowed(request)) {
      return answerPreflight(request, response, excess && { connection: 'close' })
    }
    const refusal = excess ?? check(request)
    if (refusal && isHealthOfFullServer(refusal, request)) response.setHeader('connection', 'close')
    else if (refusal) {
      noteRefusal('http', request, refusal)
      if (refusal.excess) {
        const errors = [toClientError(refusal.excess)]
        return replyErrors(response, refusal.status, errors, { ...refusal.headers, connection: 'close' })
      }
      return replyText(response, refusal.status, refusal.message)
    }
    const url = urlOf(request)
    const path = url && pathOf(url)
    if (!url || path === undefined) return replyText(response, 404, notFound(basePath))
    const state = health(path)
    if (state) {
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        return replyText(response, 405, 'Use GET here.\n', { allow: 'GET, HEAD' })
      }
      return void response.writeHead(state.status, HEALTH_HEADERS).end(`${JSON.stringify(state.body)}\n`)
    }
    const channel = channelOf(path)
    if ((path === '/graphql' || channel !== undefined) && lostItsUpgrade(request)) {
      const lost = { status: 426, message: LOST_UPGRADE }
      if (isWorthALine('lost upgrade')) noteRefusal('websocket', request, lost)
      return replyText(response, lost.status, lost.message, UPGRADE_HEADERS)
    }
    if (path === '/graphql') return graphqlHttp.handle(request, response, url)
    if (typeof channel === 'object') return replyText(response, channel.status, channel.message)
    if (channel !== undefined) {
      const viewer = await listenerOf(channel, request)
      if ('status' in viewer) return replyText(response, viewer.status, viewer.message, viewer.headers)
      return replyText(response, 426, 'this is a WebSocket: connect with ws://\n', UPGRADE_HEADERS)
    }
    if (page.handle(request, response, path)) return
    replyText(response, 404, notFound(basePath))
  }

  async function routeUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const url = urlOf(request)
    const path = url && pathOf(url)
    const channel = path === undefined ? undefined : channelOf(path)
    const refusal =
      checkLimits(request, socket) ??
      check(request) ??
      (typeof channel === 'object' ? channel : undefined) ??
      (path !== '/graphql' && channel === undefined
        ? { status: 404, message: notFound(basePath) }
        : undefined)
    const refuse = (refused: Refusal) => {
      noteRefusal('websocket', request, refused)
      refuseUpgrade(socket, refused.status, refused.message, refused.headers)
    }
    if (refusal) return refuse(refusal)
    const upgrade = (server: WebSocketServer) =>
      new Promise<WebSocket>((resolve, reject) => {
        // ws answers a faulty handshake by itself, without an event for the server.
        const fail = () => reject(new Error('the handshake was not completed'))
        socket.once('close', fail)
        server.handleUpgrade(request, socket, head, webSocket => {
          socket.off('close', fail) // it would hold the request as long as the socket lives
          // Too large a message or bad UTF-8: ws closes with the right code, but an unhandled `error` would end the process.
          webSocket.on('error', ignore)
          opened.set(socket, webSocket)
          resolve(webSocket)
        })
      })
    if (typeof channel === 'string') {
      const viewer = await listenerOf(channel, request)
      if (socket.destroyed) return
      if ('status' in viewer) return refuse(viewer)
      await listen.accept(channel, viewer, request, socket, () => upgrade(listenServer))
      return
    }
    const webSocket = await upgrade(graphqlServer)
    if (webSocket.protocol === GRAPHQL_TRANSPORT_WS_PROTOCOL)
      return acceptGraphqlWs(webSocket, request, socket)
    const isLegacy = webSocket.protocol === LEGACY_PROTOCOL
    const message = isLegacy ? LEGACY_REASON : UNKNOWN_REASON
    if (isWorthALine(message))
      noteRefusal('graphql-ws', request, { status: CloseCode.SubprotocolNotAcceptable, message })
    if (isLegacy) refuseLegacy(webSocket)
    else closeWebSocket(webSocket, CloseCode.SubprotocolNotAcceptable, message)
  }

  return {
    onRequest(request, response) {
      route(request, response).catch((error: unknown) => {
        if (request.socket.destroyed) return
        observe({ type: 'fault', id: 'http', message: `a request failed: ${messageOf(error)}`, error })
        if (response.headersSent) response.destroy()
        else replyText(response, 500, 'Internal server error\n')
      })
    },
    onUpgrade(request, socket, head) {
      socket.on('error', () => socket.destroy()) // a client that resets its connection is not a fault of the server
      routeUpgrade(request, socket, head).catch((error: unknown) => {
        if (socket.destroyed) return
        observe({ type: 'fault', id: 'websocket', message: `an upgrade failed: ${messageOf(error)}`, error })
        const webSocket = opened.get(socket)
        if (webSocket) closeWebSocket(webSocket, 1011, 'Internal server error')
        else refuseUpgrade(socket, 500, 'Internal server error\n')
      })
    },
  }
}

const ignore = () => undefined

function said({ code, limit, message }: LimitExceeded): string {
  return `${code} ${limit}: ${message}\n`
}

const HEALTH_HEADERS = { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' }

/**
 * The Host header must not affect the path; a proxy may send the whole URL
 * (https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2).
 */
function urlOf({ url = '' }: IncomingMessage): URL | undefined {
  const target = url.startsWith('/') ? `http://localhost${url}` : /^https?:/i.test(url) ? url : ''
  return URL.canParse(target) ? new URL(target) : undefined
}

function notFound(basePath: string): string {
  return `not found; this server has ${basePath}/ (page), ${basePath}/graphql, ${basePath}/listen/{channel}, ${basePath}/healthz, ${basePath}/readyz\n`
}
