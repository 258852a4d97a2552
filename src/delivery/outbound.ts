import { Fifo } from '../lib/fifo.js'
import type { ClientMemory } from '../lib/limits/client-memory.js'
import type { CutReason, Observe } from '../lib/observation.js'
import type { Backpressure } from './backpressure.js'
import type { Scheduler } from './scheduler.js'
import { costOf, type Frame } from './stream.js'
import type { Subscriber } from './subscriber.js'

/** Most that is handed to a socket at a time, in bytes: it is copied there, for each socket. */
const WRITE_BYTES = 64 * 1024
/** Most of one subscription in a row, in bytes, where a connection has several: all of them move. */
const SUBSCRIPTION_SHARE_BYTES = 16 * 1024
/** What a protocol adds to a frame, about, in bytes: empty payloads are not free. */
const ENVELOPE_BYTES = 8

/** The socket or response at the end, as the transport sees it. */
export interface Sink {
  /** False while it has enough to do; `Outbound.resume` is called when it takes more. */
  readonly writable: boolean
  /** Bytes that it holds for this connection alone, in its own buffers and those of the socket. */
  readonly held: number
  /** Takes a frame of a subscription. Called between `begin` and `end`, only while writable. */
  frame(subscriber: Subscriber, frame: Frame): void
  /** Takes a message of the protocol, such as an acknowledgement. */
  control(text: string): void
  /** Brackets what belongs into one write to the socket. */
  begin(): void
  end(): void
  /** Ends the connection with a code that tells the client to come back. */
  cut(reason: CutReason): void
}

export interface OutboundOptions {
  readonly sink: Sink
  readonly transport: string
  /** Address of the client, for the log. */
  readonly remote: string
  /** Most that may wait, in bytes, behind the first frame of each subscription. */
  readonly maxBuffer: number
  /** Longest time in ms in which nothing moves while something waits. */
  readonly stallTimeout: number
  readonly scheduler: Scheduler
  readonly backpressure: Backpressure
  readonly memory: Pick<ClientMemory, 'wait'>
  readonly observe: Observe
  /** Called when it has cut the connection off. */
  readonly onCut?: () => void
}

/** What waits for one connection, and its way out: as much at a time as the socket takes, in one write per turn. */
export class Outbound {
  readonly #options: OutboundOptions
  readonly #ready = new Set<Subscriber>()
  readonly #controls = new Fifo<string>()
  #controlBytes = 0
  /** Bytes that are left of the turn of the first in `#ready`. */
  #slice = SUBSCRIPTION_SHARE_BYTES
  #closed = false
  /** When the socket last took something while it was blocked (ms of performance.now), or 0 while nothing waits. */
  #blockedSince = 0
  #stallTimer: NodeJS.Timeout | undefined
  /** Bytes of its own that it has told `memory` of. */
  #counted = 0
  readonly #borrowed: Frame[] = []
  readonly #flush = () => this.flush()

  constructor(options: OutboundOptions) {
    this.#options = options
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Time in ms since the socket moved, while something waits; 0 otherwise. */
  get blockedFor(): number {
    return this.#blockedSince === 0 ? 0 : performance.now() - this.#blockedSince
  }

  /** Bytes that wait, behind the first frame of each subscription. */
  get waiting(): number {
    let bytes = this.#controlBytes
    for (const subscriber of this.#ready) bytes += subscriber.waiting
    return bytes
  }

  /** Bytes that are there for the sake of this connection: what waits, and what is on its way into the socket. */
  get burden(): number {
    let bytes = this.waiting + this.#counted
    for (const frame of this.#borrowed) bytes += costOf(frame)
    return bytes
  }

  /**
   * The sink goes on sending a frame that has been taken from its stream: it is held, once for all connections that do, until
   * this one has given it back.
   */
  borrow(frame: Frame): void {
    if (this.#closed) return
    this.#borrowed.push(frame)
    frame.borrowers = (frame.borrowers ?? 0) + 1
    if (frame.borrowers === 1) this.#options.memory.wait(costOf(frame))
  }

  /** All that was borrowed has been sent. */
  giveBack(): void {
    for (const frame of this.#borrowed.splice(0)) {
      frame.borrowers = (frame.borrowers ?? 1) - 1
      if (frame.borrowers === 0) this.#options.memory.wait(-costOf(frame))
    }
  }

  /** Nothing of it leaves any more. */
  remove(subscriber: Subscriber): void {
    subscriber.leave()
    this.#ready.delete(subscriber)
  }

  /** New frames for a subscriber are there; they leave at the end of this turn. */
  notify(subscriber: Subscriber): void {
    if (this.#closed || subscriber.hasLeft) return
    this.#ready.add(subscriber)
    if (subscriber.isLive) this.#options.scheduler.due(this.#flush)
    else this.#options.scheduler.spare(this.#flush)
  }

  /** Sends a message of the protocol, after the frames handed out before and ahead of those that wait. */
  control(text: string): void {
    if (this.#closed) return
    this.#controls.push(text)
    this.#controlBytes += text.length
    this.#options.scheduler.due(this.#flush)
  }

  /** The socket takes more (its `drain`), or took a piece of a large frame. */
  resume(): void {
    if (this.#closed) return
    if (this.#blockedSince !== 0) this.#blockedSince = performance.now()
    if (this.#options.sink.writable) this.flush()
  }

  flush(): void {
    const { sink } = this.#options
    if (this.#closed) return
    if (sink.writable && this.#hasWork()) {
      sink.begin()
      this.#writeBatch()
      sink.end()
    }
    this.#account()
  }

  /** Ends the connection with a code that tells the client to come back. Idempotent. */
  cut(reason: CutReason, waiting = this.waiting): void {
    const { sink, observe, transport, remote, onCut } = this.#options
    if (this.#closed) return
    this.close()
    observe({ type: 'subscriber.cut', transport, remote, reason, waiting })
    sink.cut(reason)
    onCut?.()
  }

  /** Forgets everything; the connection is gone or going. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#ready.clear()
    this.#controls.clear()
    this.#controlBytes = 0
    this.#count(0)
    this.giveBack()
    clearInterval(this.#stallTimer)
    this.#options.backpressure.release(this)
  }

  #hasWork(): boolean {
    return this.#controls.size > 0 || this.#ready.size > 0
  }

  #writeBatch(): void {
    const { sink } = this.#options
    let budget = WRITE_BYTES
    while (this.#controls.size > 0 && budget > 0) {
      const text = this.#controls.shift() as string
      this.#controlBytes -= text.length
      budget -= text.length
      sink.control(text)
    }
    // A Set's iteration comes to those that are added again: they take turns until the batch is full.
    for (const subscriber of this.#ready) {
      while (this.#slice > 0 && subscriber.hasNext) {
        // Its turn goes on with the next batch, or some would always get the rest of a batch and no more.
        if (budget <= 0 || !sink.writable) return
        const frame = subscriber.take() as Frame
        this.#slice -= frame.bytes + ENVELOPE_BYTES
        budget -= frame.bytes + ENVELOPE_BYTES
        sink.frame(subscriber, frame)
      }
      this.#slice = SUBSCRIPTION_SHARE_BYTES
      if (this.#ready.delete(subscriber) && subscriber.hasNext) this.#ready.add(subscriber)
    }
  }

  #account(): void {
    const { sink, scheduler, backpressure, maxBuffer } = this.#options
    if (this.#closed) return // by a frame that ended the connection
    // A socket that takes more may hold a little: nothing would tell when that has left.
    this.#count(2 * this.#controlBytes + (sink.writable ? 0 : sink.held))
    if (!this.#hasWork() && sink.writable) {
      this.#blockedSince = 0
      clearInterval(this.#stallTimer)
      this.#stallTimer = undefined
      return backpressure.release(this)
    }
    if (sink.writable) {
      this.#blockedSince = 0
      scheduler.spare(this.#flush) // a batch was full, the socket is not
    } else if (this.#blockedSince === 0) {
      this.#blockedSince = performance.now()
      this.#watchStall()
    }
    const waiting = this.waiting
    if (waiting > maxBuffer && !sink.writable) this.cut('buffer-full', waiting)
    else backpressure.report(this, waiting)
  }

  #count(bytes: number): void {
    if (bytes !== this.#counted) this.#options.memory.wait(bytes - this.#counted)
    this.#counted = bytes
  }

  #watchStall(): void {
    const { stallTimeout } = this.#options
    this.#stallTimer ??= setInterval(
      () => {
        if (this.blockedFor >= stallTimeout) this.cut('stalled')
      },
      Math.max(10, stallTimeout / 4),
    ).unref()
  }
}
