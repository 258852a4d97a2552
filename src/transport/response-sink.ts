import type { ServerResponse } from 'node:http'
import type { Frame } from '../delivery/frame-stream.js'
import type { Outbound, Sink } from '../delivery/outbound.js'
import { encodeCursor } from '../events/cursor.js'

/** How a stream over HTTP is written. */
export interface StreamFormat {
  readonly name: 'sse' | 'multipart'
  readonly headers: Readonly<Record<string, string>>
  /** Sent at once, so that the client has the headers. */
  readonly opening: string
  /** @param cursor where the event stands; empty: the client is to forget the position that it came with */
  next(json: string, cursor?: string): string
  /**
   * Sent when nothing else was for a while, so that proxies keep the connection and dead clients are found.
   * @param cursor everything up to there has been sent
   */
  keepAlive(cursor: string | undefined): string
  readonly completion: string
}

/** Largest piece written to a response at a time, in bytes: progress on a large frame shows between pieces. */
const PIECE = 64 * 1024

/** Writes frames to a streaming HTTP response; each frame is encoded once for all responses of a format. */
export class ResponseSink implements Sink {
  readonly #response: ServerResponse
  readonly #format: StreamFormat
  readonly #onCut: () => void
  readonly #onFinal: () => void
  #isEnding = false
  #parts: Buffer[] = []
  #rest: Buffer | undefined
  outbound: Outbound | undefined

  /**
   * @param on.cut the connection is to be dropped
   * @param on.final the subscription has ended; the response ends by itself
   */
  constructor(
    response: ServerResponse,
    format: StreamFormat,
    on: { readonly cut: () => void; readonly final: () => void },
  ) {
    this.#response = response
    this.#format = format
    this.#onCut = on.cut
    this.#onFinal = on.final
    response.on('drain', () => {
      this.#writeRest()
      this.outbound?.resume()
    })
  }

  get writable(): boolean {
    return this.#rest === undefined && !this.#response.writableNeedDrain
  }

  frame(_subscriber: unknown, frame: Frame): void {
    if (frame.isFinal) {
      const { next, completion } = this.#format
      this.#parts.push(Buffer.from(next(frame.text, forgets(frame.text) ? '' : undefined) + completion))
      this.#isEnding = true
      return this.#onFinal()
    }
    frame.encoded ??= new Map()
    let bytes = frame.encoded.get(this.#format.name)
    if (!bytes) {
      bytes = Buffer.from(this.#format.next(frame.text, frame.position && encodeCursor(frame.position)))
      frame.encoded.set(this.#format.name, bytes)
    }
    this.#parts.push(bytes)
  }

  control(text: string): void {
    this.#parts.push(Buffer.from(text))
  }

  begin(): void {
    this.#parts = []
  }

  end(): void {
    const [only] = this.#parts
    if (!only) return
    this.#rest = this.#parts.length === 1 ? only : Buffer.concat(this.#parts)
    this.#parts = []
    this.#writeRest()
  }

  cut(): void {
    this.#onCut()
  }

  /** Ends the response after what is being written: a frame is never cut in two by a goodbye. */
  finish(text: string): void {
    if (this.#rest) this.#response.write(this.#rest)
    this.#rest = undefined
    this.#response.end(text)
  }

  #writeRest(): void {
    while (this.#rest && !this.#response.writableNeedDrain && !this.#response.destroyed) {
      const piece = this.#rest.subarray(0, PIECE)
      this.#rest = piece.length < this.#rest.length ? this.#rest.subarray(PIECE) : undefined
      this.#response.write(piece)
    }
    if (this.#isEnding && !this.#rest && !this.#response.writableEnded) this.#response.end()
  }
}

/** Whether a result rejects the position that the client came with: an EventSource would come with it for ever. */
export function forgets(json: string): boolean {
  return json.includes('"code":"CURSOR_')
}
