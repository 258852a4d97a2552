import { ListenqlError } from '../../src/lib/errors.js'
import type { LogEvent } from '../../src/log/log-event.js'
import type { LogFollower } from '../../src/log/log-follower.js'
import type { Page } from '../../src/log/log-queries.js'
import type { LogListener } from '../../src/log/log-topics.js'
import {
  comparePositions,
  decodePlain,
  encodePlain,
  endOfBatch,
  type Position,
} from '../../src/log/position.js'
import { createGates } from './gates.js'

/** An event of the log: its topic, and its number, which is greater than that of every earlier event. */
export interface Logged {
  readonly kind: LogEvent['kind']
  readonly topic: string
  readonly number: number
  /** What a statement did to a row, with its images. Default: an INSERT of the row `{"id": <number>}`. */
  readonly change?: Pick<LogEvent, 'operation' | 'old' | 'new'>
}

/** An event log in memory whose steps a test triggers one by one. */
export interface FakedLog {
  readonly follower: LogFollower
  /** The events of each history. The last history is the current one. */
  readonly histories: readonly (readonly LogEvent[])[]
  /** For each history, the number of the last event that was delivered. */
  readonly dispatched: readonly number[]
  /** The positions of the current history, in order. */
  positions(): readonly Position[]
  /** Number of pages that were requested. */
  readonly reads: number
  /** Writes one batch. */
  commit(batch: readonly Logged[]): void
  /** Delivers the next event, or moves to the end of the last batch. @returns false if there was neither */
  dispatchNext(): boolean
  /** Answers the oldest pending read. @returns false if no read is pending */
  answer(): boolean
  /** Ends the history and starts another one, with its own positions. */
  endHistory(): void
}

/** @param pageSizes maximum number of events in the first page, the second page, …; the list repeats */
export function createFakedLog(pageSizes: readonly number[]): FakedLog {
  const histories: LogEvent[][] = [[]]
  const dispatched = [0]
  const topics = new Map<string, Set<LogListener>>()
  const gates = createGates()
  let history = 0
  let batches = 0
  let reads = 0
  const end = () => endOfBatch({ n: batches, token: history })
  let position: Position = end()
  const eventsAfter = (after: Position) =>
    (histories[history] as LogEvent[]).filter(event => comparePositions(event.position, after) > 0)

  function pageAfter(after: Position): Page {
    if (after.token !== history) throw new ListenqlError('CURSOR_INVALID', 'the history is gone')
    const rest = eventsAfter(after)
    const events = rest.slice(0, pageSizes[reads % pageSizes.length])
    const isLast = events.length === rest.length
    const last = isLast ? end() : (events.at(-1) as LogEvent).position
    return { events, isLast, position: comparePositions(after, last) > 0 ? after : last }
  }

  const follower = {
    cursors: {
      encode: encodePlain,
      decode: async (cursor: unknown) => decodePlain(cursor),
      ready: async () => undefined,
      use: () => undefined,
    },
    get position() {
      return position
    },
    get histories() {
      return history
    },
    started: async () => position,
    follow(kind: LogEvent['kind'], topic: string, listener: LogListener) {
      const listeners = topics.get(kind + topic) ?? new Set()
      topics.set(kind + topic, listeners.add(listener))
      return () => void listeners.delete(listener)
    },
    async read(after: Position, signal?: AbortSignal): Promise<Page> {
      reads++
      await gates.pass()
      signal?.throwIfAborted()
      return pageAfter(after)
    },
  }

  return {
    follower: follower as unknown as LogFollower, // Only the members that sources use.
    histories,
    dispatched,
    positions: () =>
      Array.from({ length: batches + 1 }, (_, n) => [
        ...(histories[history] as LogEvent[])
          .map(event => event.position)
          .filter(position => position.n === n),
        endOfBatch({ n, token: history }),
      ]).flat(),
    get reads() {
      return reads
    },
    commit(batch) {
      batches++
      for (const [i, { kind, topic, number, change }] of batch.entries()) {
        ;(histories[history] as LogEvent[]).push({
          position: { n: batches, token: history, ord: i + 1, statement: 1, id: number },
          kind,
          topic,
          generation: 1,
          operation: kind === 't' ? 'I' : 'N',
          old: null,
          new: kind === 't' ? `{"id":${number}}` : String(number),
          ...change,
          at: new Date(0),
          transaction: String(number),
        })
      }
    },
    dispatchNext() {
      const [event] = eventsAfter(position)
      for (const listener of topics.get(event ? event.kind + event.topic : '') ?? []) {
        listener.event(event as LogEvent)
      }
      const next = event?.position ?? end()
      const hasMoved = comparePositions(next, position) > 0
      position = next
      if (event) dispatched[history] = event.position.id
      return hasMoved
    },
    answer: gates.open,
    endHistory() {
      history++
      histories.push([])
      dispatched.push(dispatched.at(-1) as number)
      batches = 0
      position = end() // before the listeners hear of it, as LivePosition does
      const followed = [...topics.values()]
      topics.clear()
      const lost = new ListenqlError('CURSOR_INVALID', 'the history is gone')
      for (const listeners of followed) for (const listener of listeners) listener.lost(lost)
    },
  }
}
