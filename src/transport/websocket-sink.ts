import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { Frame } from '../delivery/frame-stream.js'
import type { Outbound, Sink } from '../delivery/outbound.js'
import type { Subscriber } from '../delivery/subscriber.js'
import type { CutReason } from '../lib/observation.js'

/** Larger messages leave in WebSocket fragments of this size in bytes: between them progress shows, and pings pass. */
const FRAGMENT = 64 * 1024
/** Longest reason in a close frame, in bytes (https://www.rfc-editor.org/rfc/rfc6455#section-5.5): ws throws for a longer one. */
const MAX_REASON = 123
/** How long the peer may take to answer our close frame, in ms; one that does not read never will. */
const CLOSE_PATIENCE = 1000

export interface WebSocketSinkOptions {
  readonly webSocket: WebSocket
  /** The socket under it, as the HTTP server handed it over with the upgrade. */
  readonly socket: Duplex
  /** The message that carries a frame to a subscriber; undefined if it is none. */
  readonly encode: (subscriber: Subscriber, frame: Frame) => string | undefined
  readonly onCut: (reason: CutReason) => void
}

/** Writes messages to a WebSocket, those of one turn in one write to the socket. */
export class WebSocketSink implements Sink {
  readonly #options: WebSocketSinkOptions
  #rest: Buffer | undefined
  outbound: Outbound | undefined

  constructor(options: WebSocketSinkOptions) {
    this.#options = options
    options.socket.on('drain', () => {
      this.#writeRest()
      this.outbound?.resume()
    })
  }

  get writable(): boolean {
    return this.#rest === undefined && !this.#options.socket.writableNeedDrain
  }

  begin(): void {
    this.#options.socket.cork()
  }

  end(): void {
    this.#options.socket.uncork()
  }

  frame(subscriber: Subscriber, frame: Frame): void {
    const text = this.#options.encode(subscriber, frame)
    if (text !== undefined) this.#send(text)
  }

  control(text: string): void {
    this.#send(text)
  }

  cut(reason: CutReason): void {
    this.#options.onCut(reason)
  }

  #send(text: string): void {
    const { webSocket } = this.#options
    if (webSocket.readyState !== webSocket.OPEN) return
    if (text.length <= FRAGMENT) return webSocket.send(text)
    this.#rest = Buffer.from(text)
    this.#writeRest()
  }

  #writeRest(): void {
    const { webSocket, socket } = this.#options
    while (this.#rest && !socket.writableNeedDrain && webSocket.readyState === webSocket.OPEN) {
      const piece = this.#rest.subarray(0, FRAGMENT)
      const fin = piece.length === this.#rest.length
      this.#rest = fin ? undefined : this.#rest.subarray(FRAGMENT)
      webSocket.send(piece, { binary: false, fin })
    }
  }
}

/** Closes with a code and a reason, and drops the socket if the peer does not answer in time. */
export function closeWebSocket(webSocket: WebSocket, code: number, reason: string): void {
  if (webSocket.readyState === webSocket.CLOSED) return
  webSocket.close(code, shorten(reason))
  const timer = setTimeout(() => webSocket.terminate(), CLOSE_PATIENCE)
  webSocket.once('close', () => clearTimeout(timer))
}

/** Cut between two characters: a reason must be UTF-8. */
function shorten(reason: string): Buffer {
  const { read } = new TextEncoder().encodeInto(reason, new Uint8Array(MAX_REASON))
  return Buffer.from(reason.slice(0, read))
}

/** What a subscriber reads in the close frame when it was cut off. */
export const CUT_REASONS: Readonly<Record<CutReason, string>> = {
  'too much waits': 'Too slow: more than the limit is waiting for you. Connect again.',
  'nothing moves': 'Too slow: you have not read anything for too long. Connect again.',
}
