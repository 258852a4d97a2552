import { FewSet } from '../lib/collections/few-set.js'
import { Fifo } from '../lib/fifo.js'
import type { ClientMemory } from '../lib/limits/client-memory.js'
import type { CutReason, Observe } from '../lib/observation.js'
import type { Backpressure } from './backpressure.js'
import { EndMarks } from './end-marks.js'
import type { Scheduler } from './scheduler.js'
import type { Sink } from './sink.js'
import { costOf, type Frame } from './stream.js'
import type { Subscriber } from './subscriber.js'

/** Most bytes that are passed to a socket at a time, since each socket keeps its own copy of them. */
const WRITE_BYTES = 64 * 1024
/** Most bytes of one subscription in a row if several have waiting frames, so that all subscriptions of a connection progress. */
const SUBSCRIPTION_SHARE_BYTES = 16 * 1024
/** About how many bytes a protocol adds to a frame. Counted so that empty payloads are not free. */
const ENVELOPE_BYTES = 8

/** What connections have sent: frames, and their bytes without the envelope of the transport. */
export interface Traffic {
  frames: number
  bytes: number
}

/** What all connections of a server share. */
export interface OutboundOptions {
  /** Read at each use, since a reload may change them. */
  readonly limits: {
    /** Most bytes that may wait, without the first waiting frame of each subscription. */
    readonly maxBuffer: number
  }
  /** Time in ms after which the connection is cut off if its socket takes nothing while frames wait. */
  readonly stallTimeout: number
  readonly scheduler: Scheduler
  readonly backpressure: Backpressure
  readonly memory: Pick<ClientMemory, 'wait'>
  readonly observe: Observe
}

/** The connection that an Outbound sends for. */
export interface OutboundClient {
  readonly transport: string
  /** Address of the client, for the server's log. */
  readonly remote: string
  /** Counts what is sent. Connections share it. Default: nothing is counted. */
  readonly traffic?: Traffic
  /** Called after the connection has been cut off. */
  onCut?(reason: CutReason): void
}

/**
 * The frames that wait for one connection. They are sent as fast as the socket takes them, in one write per turn of the event loop.
 * A connection whose waiting frames exceed `maxBuffer`, or that takes nothing for `stallTimeout`, is cut off: frames are never dropped,
 * and memory is bounded. What an idle connection does not need is created on demand, since most connections are idle.
 */
export class Outbound {
  readonly #options: OutboundOptions
  readonly #sink: Sink
  readonly #client: OutboundClient
  readonly #ready = new FewSet<Subscriber>()
  /** Undefined: none waits. */
  #controls: Fifo<string> | undefined
  #controlBytes = 0
  /** Bytes that the first subscriber in `#ready` may still send in its turn. */
  #slice = SUBSCRIPTION_SHARE_BYTES
  #closed = false
  /** When the socket last took something while it was blocked (ms of performance.now), or 0 while nothing waits. */
  #blockedSince = 0
  #stallTimer: NodeJS.Timeout | undefined
  /** Bytes of this connection that have been reported to `memory`. */
  #counted = 0
  #borrowed: Frame[] | undefined
  /** Undefined: no subscriber has wanted marks. */
  #endMarks: EndMarks | undefined
  readonly #flush = () => this.flush()

  constructor(options: OutboundOptions, sink: Sink, client: OutboundClient) {
    this.#options = options
    this.#sink = sink
    this.#client = client
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
    for (const frame of this.#borrowed ?? []) bytes += costOf(frame)
    return bytes
  }

  /**
   * Counts a frame as memory while the sink is still sending it, after it has been taken from its stream, until `giveBack`. A frame
   * is counted once for all connections that borrow it.
   */
  borrow(frame: Frame): void {
    if (this.#closed) return
    this.#borrowed ??= []
    this.#borrowed.push(frame)
    frame.borrowers = (frame.borrowers ?? 0) + 1
    if (frame.borrowers === 1) this.#options.memory.wait(costOf(frame))
  }

  /** The sink has sent all borrowed frames. */
  giveBack(): void {
    const borrowed = this.#borrowed
    if (!borrowed) return
    this.#borrowed = undefined
    for (const frame of borrowed) {
      frame.borrowers = (frame.borrowers ?? 1) - 1
      if (frame.borrowers === 0) this.#options.memory.wait(-costOf(frame))
    }
  }

  /** Removes a subscriber; no frame of it is sent any more. */
  remove(subscriber: Subscriber): void {
    subscriber.leave()
    this.#ready.delete(subscriber)
    this.#endMarks?.remove(subscriber)
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
    this.#controls ??= new Fifo()
    this.#controls.push(text)
    this.#controlBytes += text.length
    this.#options.scheduler.due(this.#flush)
  }

  /** The socket takes more (its `drain` event), or has taken a part of a large frame. */
  resume(): void {
    if (this.#closed) return
    if (this.#blockedSince !== 0) this.#blockedSince = performance.now()
    if (this.#sink.writable) this.flush()
  }

  flush(): void {
    const sink = this.#sink
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
    if (this.#closed) return
    const { transport, remote } = this.#client
    this.close()
    this.#options.observe({ type: 'subscriber.cut', transport, remote, reason, waiting })
    this.#sink.cut(reason)
    this.#client.onCut?.(reason)
  }

  /** Drops everything that waits; the connection is closed or closing. Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#ready.clear()
    this.#endMarks?.close()
    this.#controls = undefined
    this.#controlBytes = 0
    this.#count(0)
    this.giveBack()
    clearInterval(this.#stallTimer)
    this.#options.backpressure.release(this)
  }

  #hasWork(): boolean {
    return this.#controls !== undefined || this.#ready.size > 0
  }

  #writeBatch(): void {
    let budget = WRITE_BYTES
    while (this.#controls && budget > 0) {
      const text = this.#controls.shift() as string
      if (this.#controls.size === 0) this.#controls = undefined
      this.#controlBytes -= text.length
      budget -= text.length
      this.#sink.control(text)
    }
    // A subscriber with more frames is added again, at the end: the subscribers take turns until the batch is full.
    for (let only = this.#ready.only; only; only = this.#ready.only) {
      const left = this.#writeTurn(only, budget)
      if (left === undefined) return
      budget = left
    }
    for (const subscriber of this.#ready.many) {
      const left = this.#writeTurn(subscriber, budget)
      if (left === undefined) return
      budget = left
    }
  }

  /** Writes frames of one subscriber. @returns what is left of the budget in bytes. Undefined: the batch is full */
  #writeTurn(subscriber: Subscriber, budget: number): number | undefined {
    const sink = this.#sink
    const { traffic } = this.#client
    let left = budget
    this.#markEnds(subscriber)
    while (this.#slice > 0 && subscriber.hasNext) {
      // The subscriber's turn continues with the next batch. Otherwise some subscribers would only ever get the rest of a batch.
      if (left <= 0 || !sink.writable) return undefined
      const frame = subscriber.take() as Frame
      this.#slice -= frame.bytes + ENVELOPE_BYTES
      left -= frame.bytes + ENVELOPE_BYTES
      if (traffic) {
        traffic.frames++
        traffic.bytes += frame.bytes
      }
      sink.frame(subscriber, frame)
    }
    this.#markEnds(subscriber)
    this.#slice = SUBSCRIPTION_SHARE_BYTES
    if (this.#ready.delete(subscriber) && subscriber.hasNext) this.#ready.add(subscriber)
    return left
  }

  #markEnds(subscriber: Subscriber): void {
    if (!subscriber.ends) return
    this.#endMarks ??= new EndMarks(this.#sink, marked => this.notify(marked))
    this.#endMarks.write(subscriber)
  }

  #account(): void {
    const { scheduler, backpressure, limits } = this.#options
    const sink = this.#sink
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
    if (waiting > limits.maxBuffer && !sink.writable) this.cut('buffer-full', waiting)
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
