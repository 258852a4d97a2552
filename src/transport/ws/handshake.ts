import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import { refuseUpgrade } from '../http/reply.js'
import { ServerWebSocket } from './server-web-socket.js'
import { closeWebSocket } from './sink.js'
import { pickProtocol } from './sub-protocol.js'

/** From an upgrade that has been admitted to an open WebSocket (https://www.rfc-editor.org/rfc/rfc6455#section-4.2). */
export interface Handshakes {
  /**
   * Completes the handshake.
   * @returns rejects if the handshake is faulty: ws has answered it then
   */
  complete(
    route: 'graphql' | 'listen',
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
  ): Promise<ServerWebSocket>
  /** Ends an upgrade after a fault of the server, as far as the handshake has come. */
  fail(socket: Duplex): void
  /** Nothing can fail any more. */
  forget(socket: Duplex): void
}

export interface HandshakeLimits {
  /** Largest message accepted from a client, in bytes. It applies to WebSockets that are opened after a change. */
  readonly maxMessage: number
}

export function createHandshakes(limits: HandshakeLimits): Handshakes {
  let servers = createServers(limits.maxMessage)
  /** WebSockets that have completed their handshake, until `forget`. */
  const opened = new WeakMap<Duplex, ServerWebSocket>()

  return {
    complete: (route, request, socket, head) =>
      new Promise((resolve, reject) => {
        if (servers.maxMessage !== limits.maxMessage) servers = createServers(limits.maxMessage)
        // ws answers a faulty handshake by itself, without an event for the server.
        const fail = () => reject(new Error('the handshake was not completed'))
        socket.once('close', fail)
        servers[route].handleUpgrade(request, socket, head, webSocket => {
          socket.off('close', fail) // it would hold the request as long as the socket lives
          // Too large a message or bad UTF-8: ws closes with the right code, but an unhandled `error` would end the process.
          webSocket.on('error', ignore)
          opened.set(socket, webSocket)
          resolve(webSocket)
        })
      }),
    fail(socket) {
      const webSocket = opened.get(socket)
      if (webSocket) closeWebSocket(webSocket, 1011, 'Internal server error')
      else refuseUpgrade(socket, 500, 'Internal server error\n')
    },
    forget: socket => void opened.delete(socket),
  }
}

/** They have no port of their own, and keep nothing of what they have opened. */
function createServers(maxMessage: number) {
  const shared = {
    noServer: true,
    clientTracking: false,
    maxPayload: maxMessage,
    WebSocket: ServerWebSocket,
    perMessageDeflate: false,
    autoPong: false, // see PingedSocket
    // One message a turn: a client may reuse an id right after `complete`, and graphql-ws forgets the old one a moment later.
    allowSynchronousEvents: false,
  } as const
  return {
    maxMessage,
    graphql: new WebSocketServer({ ...shared, handleProtocols: pickProtocol }),
    listen: new WebSocketServer(shared),
  }
}

const ignore = () => undefined
