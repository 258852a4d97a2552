import { type RawData, WebSocket } from 'ws'

/** Hears what happens to a WebSocket. */
export interface SocketListener {
  messageArrived(data: RawData): void
  pingArrived(data: Buffer): void
  pongArrived(data: Buffer): void
  /** It is closed. */
  closed(code: number, reason: string): void
}

/**
 * A WebSocket that knows its listener. So all WebSockets can share the functions that ws calls: closures for each of them would take
 * more memory than the WebSocket itself.
 */
export class ServerWebSocket extends WebSocket {
  listener: SocketListener | undefined

  /** Call it once. */
  listenBy(listener: SocketListener): void {
    this.listener = listener
    this.on('message', onMessage).on('ping', onPing).on('pong', onPong).on('close', onClose)
  }
}

// ws calls its listeners with the WebSocket as `this`.

function onMessage(this: WebSocket, data: RawData): void {
  ;(this as ServerWebSocket).listener?.messageArrived(data)
}

function onPing(this: WebSocket, data: Buffer): void {
  ;(this as ServerWebSocket).listener?.pingArrived(data)
}

function onPong(this: WebSocket, data: Buffer): void {
  ;(this as ServerWebSocket).listener?.pongArrived(data)
}

function onClose(this: WebSocket, code: number, reason: Buffer): void {
  ;(this as ServerWebSocket).listener?.closed(code, String(reason))
}
