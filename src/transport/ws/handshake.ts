import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { refuseUpgrade } from '../http/reply.js'
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
  ): Promise<WebSocket>
  /** Ends an upgrade after a fault of the server, as far as the handshake has come. */
  fail(socket: Duplex): void
}

/** @param maxMessage largest message accepted from a client, in bytes */
export function createHandshakes(maxMessage: number): Handshakes {
  const shared = {
    noServer: true,
    clientTracking: false,
    maxPayload: maxMessage,
    perMessageDeflate: false,
    autoPong: false, // see keepWebSocketAlive
    // One message a turn: a client may reuse an id right after `complete`, and graphql-ws forgets the old one a moment later.
    allowSynchronousEvents: false,
  } as const
  const servers = {
    graphql: new WebSocketServer({ ...shared, handleProtocols: pickProtocol }),
    listen: new WebSocketServer(shared),
  }
  /** WebSockets that have completed their handshake. */
  const opened = new WeakMap<Duplex, WebSocket>()

  return {
    complete: (route, request, socket, head) =>
      new Promise((resolve, reject) => {
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
  }
}

const ignore = () => undefined
