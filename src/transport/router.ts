import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { CloseCode, GRAPHQL_TRANSPORT_WS_PROTOCOL } from 'graphql-ws'
import type { ClientErrors } from '../graphql/errors.js'
import { messageOf } from '../lib/errors.js'
import { createOccasional } from '../lib/occasional.js'
import { type CheckOptions, createChecks } from './http/checks.js'
import { allowOrigin, answerPreflight, varyBy } from './http/cors.js'
import type { GraphqlHttp } from './http/graphql-http.js'
import { type AnswerHealth, replyHealth } from './http/health.js'
import type { Inspection } from './http/inspection.js'
import type { Page } from './http/page.js'
import { type Refusal, refuseUpgrade, replyErrors, replyText } from './http/reply.js'
import { createTargets, type TargetOptions } from './http/target.js'
import type { AcceptGraphqlWs } from './ws/graphql-ws.js'
import { createHandshakes, type HandshakeLimits } from './ws/handshake.js'
import type { Listen } from './ws/listen.js'
import { LOST_UPGRADE, lostItsUpgrade, UPGRADE_HEADERS } from './ws/lost-upgrade.js'
import { refuseProtocol } from './ws/sub-protocol.js'

export interface RouterOptions extends TargetOptions, CheckOptions {
  readonly page: Page
  readonly graphqlHttp: GraphqlHttp
  readonly acceptGraphqlWs: AcceptGraphqlWs
  readonly listen: Listen
  readonly health: AnswerHealth
  /** False: HTTP connections end after their response, so that the next request goes to another server. */
  readonly keepsConnections: () => boolean
  /** Metrics and status. Undefined: they are not served on this port. */
  readonly inspection: Inspection | undefined
  /** Read at each request, since a reload may change them. */
  readonly limits: CheckOptions['limits'] & HandshakeLimits
  readonly toClientError: ClientErrors
}

/** All requests and upgrades of the HTTP servers. */
export interface Router {
  onRequest(request: IncomingMessage, response: ServerResponse): void
  onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
}

/** Minimum between two log lines about the same fault of set-up, which makes a client reconnect again and again; in ms. */
const LINE_INTERVAL_MS = 600_000

/**
 * Each request is checked, then passed to its route: `/graphql`, `/listen/{channel}`, health, or the page. Each is answered, also
 * after a fault of the server, and each refusal is observed.
 */
export function createRouter(options: RouterOptions): Router {
  const { origins, page, graphqlHttp, acceptGraphqlWs, listen, health, toClientError, observe, inspection } =
    options
  const targets = createTargets(options)
  const checks = createChecks(options)
  const handshakes = createHandshakes(options.limits)
  const isWorthALine = createOccasional(LINE_INTERVAL_MS)

  /** @returns whether the request has been answered and goes no further */
  function refuseRequest(request: IncomingMessage, response: ServerResponse): boolean {
    // Before any refusal: an allowed page must be able to read the reason.
    varyBy(response, 'origin')
    const isAllowed = origins.isOriginAllowed(request)
    if (isAllowed) allowOrigin(request, response, origins.isOriginTrusted(request))
    const excess = checks.limits(request, response)
    // A browser shows the response of a request only if its preflight request succeeded.
    if (request.method === 'OPTIONS' && isAllowed && origins.isHostAllowed(request)) {
      answerPreflight(request, response, excess && { connection: 'close' })
      return true
    }
    const refusal = excess ?? checks.source(request)
    if (!refusal) return false
    if (isHealthOfFullServer(refusal, request)) {
      response.setHeader('connection', 'close')
      return false
    }
    checks.note('http', request, refusal)
    if (refusal.excess) {
      const errors = [toClientError(refusal.excess)]
      replyErrors(response, refusal.status, errors, { ...refusal.headers, connection: 'close' })
    } else replyText(response, refusal.status, refusal.message)
    return true
  }

  /** A full server is healthy: a balancer that thought otherwise would take away the clients that it serves. */
  function isHealthOfFullServer({ excess }: Refusal, request: IncomingMessage): boolean {
    if (excess?.limit !== 'maxConnections' || !origins.isHostAllowed(request)) return false
    const target = targets.of(request)
    return target.kind === 'path' && health(target.path) !== undefined
  }

  async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (refuseRequest(request, response)) return
    const target = targets.of(request)
    const isForWebSockets = target.kind !== 'path' && target.kind !== 'nowhere'
    if (isForWebSockets && lostItsUpgrade(request)) {
      const lost = { status: 426, message: LOST_UPGRADE }
      if (isWorthALine('lost upgrade')) checks.note('websocket', request, lost)
      return replyText(response, lost.status, lost.message, UPGRADE_HEADERS)
    }
    switch (target.kind) {
      case 'graphql':
        return graphqlHttp.handle(request, response, target.url)
      case 'malformed':
        return replyText(response, target.refusal.status, target.refusal.message)
      case 'listen': {
        const viewer = await listen.admit(target.channel, request)
        if ('status' in viewer) return replyText(response, viewer.status, viewer.message, viewer.headers)
        return replyText(response, 426, 'this is a WebSocket: connect with ws://\n', UPGRADE_HEADERS)
      }
      case 'path': {
        const state = health(target.path, target.search.has('deep'))
        if (state) return replyHealth(request, response, await state)
        if (inspection?.handle(request, response, target.path)) return
        if (page.handle(request, response, target.path)) return
      }
    }
    replyText(response, 404, targets.notFound)
  }

  async function routeUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const refuse = (refusal: Refusal) => {
      checks.note('websocket', request, refusal)
      refuseUpgrade(socket, refusal.status, refusal.message, refusal.headers)
    }
    const upgrade = async (route: 'graphql' | 'listen') => {
      const webSocket = await handshakes.complete(route, request, socket, head)
      socket.off('error', destroy) // ws handles errors from now on
      return webSocket
    }
    const refusal = checks.limits(request, socket) ?? checks.source(request)
    if (refusal) return refuse(refusal)
    const target = targets.of(request)
    switch (target.kind) {
      case 'graphql': {
        const webSocket = await upgrade('graphql')
        if (webSocket.protocol === GRAPHQL_TRANSPORT_WS_PROTOCOL) return acceptGraphqlWs(webSocket, request)
        const message = refuseProtocol(webSocket)
        if (isWorthALine(message))
          checks.note('graphql-ws', request, { status: CloseCode.SubprotocolNotAcceptable, message })
        return
      }
      case 'malformed':
        return refuse(target.refusal)
      case 'listen': {
        const { channel } = target
        const viewer = await listen.admit(channel, request)
        if (socket.destroyed) return
        if ('status' in viewer) return refuse(viewer)
        return listen.accept(channel, viewer, request, () => upgrade('listen'))
      }
    }
    refuse({ status: 404, message: targets.notFound })
  }

  return {
    onRequest(request, response) {
      if (!options.keepsConnections()) response.setHeader('connection', 'close')
      route(request, response).catch((error: unknown) => {
        if (request.socket.destroyed) return
        observe({ type: 'fault', id: 'http', message: `a request failed: ${messageOf(error)}`, error })
        if (response.headersSent) response.destroy()
        else replyText(response, 500, 'Internal server error\n')
      })
    },
    onUpgrade(request, socket, head) {
      socket.on('error', destroy) // a client that resets its connection is not a fault of the server
      routeUpgrade(request, socket, head)
        .catch((error: unknown) => {
          if (socket.destroyed) return
          observe({
            type: 'fault',
            id: 'websocket',
            message: `an upgrade failed: ${messageOf(error)}`,
            error,
          })
          handshakes.fail(socket)
        })
        .finally(() => handshakes.forget(socket))
    },
  }
}

function destroy(this: Duplex): void {
  this.destroy()
}
