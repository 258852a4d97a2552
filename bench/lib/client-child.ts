/**
 * The load: thousands of subscribers in a process of its own. It is raw sockets that count, since it shares the machine with the
 * server: nothing is parsed but the headers of frames, and the time in one event of sixteen.
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
  /** How many connect at a time. */
  readonly concurrency: number
  /** One event of so many is looked at for its latency. */
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
  /** @returns how long it took, in ms, and what went wrong first if anything did */
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
  /** Resolves once every connection of the group has had so many events since it connected, or the time is up. */
  async reach({ group: name, events, timeout }: { group: string; events: number; timeout: number }): Promise<{
    reached: boolean
    at: number
  }> {
    const { tally, counters } = groupOf(name)
    tally.target = events
    tally.reached = counters.filter(({ count }) => count >= events).length
    const reached =
      tally.reached === tally.connections ||
      (await new Promise<boolean>(resolve => {
        const timer = setTimeout(() => resolve(false), timeout)
        tally.onReached = () => {
          clearTimeout(timer)
          resolve(true)
        }
      }))
    tally.target = Number.POSITIVE_INFINITY
    tally.onReached = undefined
    return { reached, at: now() }
  },
  /** Those that did not read read again, and see whether they have been cut off. */
  undeafen(_: null): void {
    for (const socket of sockets) if (socket.isPaused()) socket.resume()
  },
}
export type ClientMethods = typeof methods

answer(methods)
