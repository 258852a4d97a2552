/**
 * The load: thousands of subscribers in their own process. Because it shares the machine with the server, it counts events on raw
 * sockets and parses only the headers of frames, and the time in one of sixteen events.
 */
import type { Socket } from 'node:net'
import { answer } from './answer.js'
import { type ConnectionTask, open, type Subscription } from './client/connection.js'
import { Counter, Tally } from './client/tally.js'
import { now } from './clock.js'
import { quantile } from './statistics.js'

export interface ConnectTask extends Omit<ConnectionTask, 'subscription'> {
  /** Connections with the same name are counted together. */
  readonly group: string
  readonly count: number
  readonly query: string
  readonly variables?: Readonly<Record<string, unknown>>
  /** Name of a variable that is 1 for the first connection, 2 for the second, and so on. */
  readonly numbered?: string
  /** Number of connections that connect at a time. */
  readonly concurrency: number
  /** One of this many events is sampled for its latency. */
  readonly stride: number
}

export interface GroupState {
  readonly connections: number
  readonly failed: number
  /** Connections that the server has closed. */
  readonly closed: number
  readonly count: number
  readonly leastCount: number
  /** Latencies in ms since the last `mark`. */
  readonly p50: number
  readonly p99: number
  readonly samples: number
  /** Of this process, in µs. */
  readonly cpu: number
  readonly at: number
}

interface Group {
  readonly tally: Tally
  readonly counters: Counter[]
}

const groups = new Map<string, Group>()
const sockets: Socket[] = []
let firstFailure: string | undefined

function groupOf(name: string): Group {
  const group = groups.get(name) ?? { tally: new Tally(), counters: [] }
  groups.set(name, group)
  return group
}

const methods = {
  /** @returns how long it took, in ms, and the first error if there was one */
  async connect(task: ConnectTask): Promise<{ ms: number; failure: string | undefined }> {
    const { tally, counters } = groupOf(task.group)
    tally.stride = task.stride
    const start = now()
    let next = 0
    const worker = async () => {
      while (next < task.count) {
        const number = ++next
        const variables = task.numbered ? { ...task.variables, [task.numbered]: number } : task.variables
        const subscription: Subscription = { query: task.query, ...(variables && { variables }) }
        const counter = new Counter(tally)
        counters.push(counter)
        try {
          sockets.push(await open({ ...task, subscription }, counter))
        } catch (error) {
          tally.failed++
          firstFailure ??= error instanceof Error ? error.message : String(error)
        }
      }
    }
    await Promise.all(Array.from({ length: Math.min(task.concurrency, task.count) }, worker))
    return { ms: (now() - start) / 1000, failure: firstFailure }
  },
  state(name: string): GroupState {
    const { tally, counters } = groupOf(name)
    const samples = tally.samples.subarray(0, tally.sampled)
    const { user, system } = process.cpuUsage()
    return {
      connections: tally.connections,
      failed: tally.failed,
      closed: tally.closed,
      count: tally.count,
      leastCount: counters.reduce((least, { count }) => Math.min(least, count), Number.POSITIVE_INFINITY),
      p50: quantile([...samples], 0.5) / 1000,
      p99: quantile([...samples], 0.99) / 1000,
      samples: samples.length,
      cpu: user + system,
      at: now(),
    }
  },
  /** Latencies count from here on. */
  mark(name: string): void {
    groupOf(name).tally.sampled = 0
  },
  /**
   * Resolves once every open connection of the group has received that many events since it connected, or the time is up.
   * @returns the number of connections that have, and the time when it resolved
   */
  async reach({ group: name, events, timeout }: { group: string; events: number; timeout: number }): Promise<{
    reached: number
    isAll: boolean
    at: number
  }> {
    const { tally, counters } = groupOf(name)
    tally.target = events
    tally.reached = counters.filter(({ count }) => count >= events).length
    tally.missing = counters.filter(({ count, isClosed }) => isClosed && count < events).length
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, timeout)
      tally.onSettled = () => {
        clearTimeout(timer)
        resolve()
      }
      tally.settle()
    })
    tally.target = Number.POSITIVE_INFINITY
    tally.onSettled = undefined
    return { reached: tally.reached, isAll: tally.reached === tally.connections, at: now() }
  },
  /** Connections that had stopped reading read again, and so notice whether the server has cut them off. */
  undeafen(_: null): void {
    for (const socket of sockets) if (socket.isPaused()) socket.resume()
  },
}
export type ClientMethods = typeof methods

answer(methods)
