import { Fifo } from '../lib/fifo.js'
import type { ClientMemory } from '../lib/limits/client-memory.js'
import type { CutReason, Observe } from '../lib/observation.js'
import type { Backpressure } from './backpressure.js'
import { EndMarks } from './end-marks.js'
import type { Scheduler } from './scheduler.js'
import { costOf, type Frame } from './stream.js'
import type { Subscriber } from './subscriber.js'

/** Most bytes that are passed to a socket at a time, since each socket keeps its own copy of them. */
const WRITE_BYTES = 64 * 1024
/** Most bytes of one subscription in a row if several have waiting frames, so that all subscriptions of a connection progress. */
const SUBSCRIPTION_SHARE_BYTES = 16 * 1024
/** About how many bytes a protocol adds to a frame. Counted so that empty payloads are not free. */
const ENVELOPE_BYTES = 8

/** Sends frames to the socket or response of one connection; implemented by the transports. */
export interface Sink {
  /** False while its buffer is full; the transport calls `Outbound.resume` when the sink takes more. */
  readonly writable: boolean
  /** Bytes in its own buffers and those of the socket. */
  readonly held: number
  /** Sends a frame of a subscription. Called only between `begin` and `end`, while writable. */
  frame(subscriber: Subscriber, frame: Frame): void
  /** Sends a message of the protocol, such as an acknowledgement. */
  control(text: string): void
  /** `begin` and `end` bracket the calls that make one write to the socket. */
  begin(): void
  end(): void
  /** Ends the connection with a code that makes the client reconnect. */
  cut(reason: CutReason): void
}

export interface OutboundOptions {
  readonly sink: Sink
  readonly transport: string
  /** Address of the client, for the server's log. */
  readonly remote: string
  /** Most bytes that may wait, without the first waiting frame of each subscription. */
  readonly maxBuffer: number
  /** Time in ms after which the connection is cut off if its socket takes nothing while frames wait. */
  readonly stallTimeout: number
  readonly scheduler: Scheduler
  readonly backpressure: Backpressure
  readonly memory: Pick<ClientMemory, 'wait'>
  readonly observe: Observe
  /** Called after the connection has been cut off. */
  readonly onCut?: () => void
}

/**
 * The frames that wait for one connection. They are sent as fast as the socket takes them, in one write per turn of the event loop.
 * A connection whose waiting frames exceed `maxBuffer`, or that takes nothing for `stallTimeout`, is cut off: frames are never dropped,
 * and memory is bounded.
 */
export class Outbound {
  readonly #options: OutboundOptions
  readonly #ready = new Set<Subscriber>()
  readonly #controls = new Fifo<string>()
  #controlBytes = 0
  /** Bytes that the first subscriber in `#ready` may still send in its turn. */
  #slice = SUBSCRIPTION_SHARE_BYTES
  #closed = false
  /** When the socket last took something while it was blocked (ms of performance.now), or 0 while nothing waits. */
  #blockedSince = 0
  #stallTimer: NodeJS.Timeout | undefined
  /** Bytes of this connection that have been reported to `memory`. */
  #counted = 0
  readonly #borrowed: Frame[] = []
  readonly #endMarks: EndMarks
  readonly #flush = () => this.flush()

  constructor(options: OutboundOptions) {
    this.#options = options
    this.#endMarks = new EndMarks(options.sink, subscriber => this.notify(subscriber))
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Time in ms since the socket last took something, while frames wait; 0 otherwise. */
  get blockedFor(): number {
    return this.#blockedSince === 0 ? 0 : performance.now() - this.#blockedSince
  }

  /** Bytes that wait, without the first waiting frame of each subscription. */
  get waiting(): number {
    let bytes = this.#controlBytes
    for (const subscriber of this.#ready) bytes += subscriber.waiting
    return bytes
  }

  /** Bytes in memory because of this connection: waiting frames, and those that the sink is sending. */
  get burden(): number {
    let bytes = this.waiting + this.#counted
    for (const frame of this.#borrowed) bytes += costOf(frame)
    return bytes
  }

  /**
   * Counts a frame as memory while the sink is still sending it, after it has been taken from its stream, until `giveBack`. A frame
   * is counted once for all connections that borrow it.
   */
  borrow(frame: Frame): void {
    if (this.#closed) return
    this.#borrowed.push(frame)
    frame.borrowers = (frame.borrowers ?? 0) + 1
    if (frame.borrowers === 1) this.#options.memory.wait(costOf(frame))
  }

  /** The sink has sent all borrowed frames. */
  giveBack(): void {
    for (const frame of this.#borrowed.splice(0)) {
      frame.borrowers = (frame.borrowers ?? 1) - 1
      if (frame.borrowers === 0) this.#options.memory.wait(-costOf(frame))
    }
  }

  /** Removes a subscriber; no frame of it is sent any more. */
  remove(subscriber: Subscriber): void {
    subscriber.leave()
    this.#ready.delete(subscriber)
    this.#endMarks.remove(subscriber)
  }

  /** New frames wait for a subscriber. They are sent at the end of this turn. */
  notify(subscriber: Subscriber): void {
    if (this.#closed || subscriber.hasLeft) return
    this.#ready.add(subscriber)
    if (subscriber.isLive) this.#options.scheduler.due(this.#flush)
    else this.#options.scheduler.spare(this.#flush)
  }

  /** Sends a message of the protocol, after the frames that have been passed to the sink and before those that wait. */
  control(text: string): void {
    if (this.#closed) return
    this.#controls.push(text)
    this.#controlBytes += text.length
    this.#options.scheduler.due(this.#flush)
  }

  /** The socket takes more (its `drain` event), or has taken a part of a large frame. */
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

  /** Ends the connection with a code that makes the client reconnect. Idempotent. */
  cut(reason: CutReason, waiting = this.waiting): void {
    const { sink, observe, transport, remote, onCut } = this.#options
    if (this.#closed) return
    this.close()
    observe({ type: 'subscriber.cut', transport, remote, reason, waiting })
    sink.cut(reason)
    onCut?.()
  }

  /** Drops everything that waits; the connection is closed or closing. Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#ready.clear()
    this.#endMarks.close()
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
    // Iteration over a Set reaches elements that are added again, so the subscribers take turns until the batch is full.
    for (const subscriber of this.#ready) {
      this.#endMarks.write(subscriber)
      while (this.#slice > 0 && subscriber.hasNext) {
        // The subscriber's turn continues with the next batch. Otherwise some subscribers would only ever get the rest of a batch.
        if (budget <= 0 || !sink.writable) return
        const frame = subscriber.take() as Frame
        this.#slice -= frame.bytes + ENVELOPE_BYTES
        budget -= frame.bytes + ENVELOPE_BYTES
        sink.frame(subscriber, frame)
      }
      this.#endMarks.write(subscriber)
      this.#slice = SUBSCRIPTION_SHARE_BYTES
      if (this.#ready.delete(subscriber) && subscriber.hasNext) this.#ready.add(subscriber)
    }
  }

  #account(): void {
    const { sink, scheduler, backpressure, maxBuffer } = this.#options
    if (this.#closed) return // a frame has ended the connection
    // What a writable socket holds is not counted: it is little, and no event says when it has been sent.
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
