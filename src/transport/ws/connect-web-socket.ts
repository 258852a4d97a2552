import type { IncomingMessage } from 'node:http'
import type { Connection, Connections } from '../connections.js'
import { type KeepAliveOptions, keepWebSocketAlive } from '../keep-alive.js'
import { endWebSocket, WebSocketSink, type WebSocketSinkOptions } from './sink.js'

/** What all WebSockets of a server share. */
export interface WebSocketOptions {
  readonly connections: Connections
  /** Interval of pings in ms. */
  readonly keepAlive: number
}

/** One WebSocket that has completed its handshake. */
export interface ConnectOptions extends Pick<WebSocketSinkOptions, 'webSocket' | 'envelope' | 'onOther'> {
  readonly transport: string
  /** The request for the upgrade. */
  readonly request: IncomingMessage
  readonly ping?: KeepAliveOptions['ping']
}

export interface ConnectedWebSocket {
  readonly connection: Connection
  /** See `WebSocketSink.sendLast`. */
  sendLast(texts: readonly string[]): void
}

/**
 * Makes a WebSocket a connection: frames are written to it, it is pinged and cut off if it is silent, and if the server stops or the
 * client does not keep up, it closes with a code after which the client reconnects.
 */
export function connectWebSocket(
  { connections, keepAlive }: WebSocketOptions,
  { transport, webSocket, request, envelope, onOther, ping }: ConnectOptions,
): ConnectedWebSocket {
  const { socket } = request
  const sink = new WebSocketSink({
    ...{ webSocket, socket, envelope, onOther },
    onCut: reason => endWebSocket(webSocket, reason),
  })
  const connection = connections.open({
    ...{ transport, request, sink },
    end: () => endWebSocket(webSocket, 'stopping'),
    destroy: () => webSocket.terminate(),
  })
  const { outbound } = connection
  sink.outbound = outbound
  keepWebSocketAlive({ webSocket, socket, outbound, interval: keepAlive, ping })
  return { connection, sendLast: texts => sink.sendLast(texts) }
}
