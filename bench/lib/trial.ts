import type { ServerOptions } from '../../src/index.js'
import { type Child, startChild } from './child.js'
import type { ClientMethods, ConnectTask, GroupState } from './client-child.js'
import type { ServerMethods, ServerTask, Usage } from './server-child.js'
import { usageOf } from './usage.js'
import { CHANNEL, queryOf, type Variant } from './variants.js'

/** One server in a process of its own and one process of subscribers, for one measurement. */
export interface Trial {
  readonly server: Child<ServerMethods>
  readonly client: Child<ClientMethods>
  readonly port: number
  /** Connects subscribers of the variant. @throws if some were refused */
  connect(options: Connect): Promise<number>
  close(): Promise<void>
}

export interface Connect {
  readonly count: number
  readonly group?: string
  readonly query?: string
  readonly variables?: Readonly<Record<string, unknown>>
  readonly numbered?: string
  readonly copies?: number
  readonly deaf?: boolean
  readonly concurrency?: number
  readonly stride?: number
  /** In ms. */
  readonly patience?: number
}

/** The group of subscribers that all others are measured by. */
export const MAIN = 'main'

export async function startTrial(variant: Variant, url: string, options?: ServerOptions): Promise<Trial> {
  const task: ServerTask = { server: variant.server, url, ...(options && { options }) }
  const server = startChild<ServerMethods>('./server-child.ts', [JSON.stringify(task)], {
    exec: ['--expose-gc', '--no-warnings'],
  })
  const client = startChild<ClientMethods>('./client-child.ts')
  const close = async () => {
    await Promise.all([server.close(), client.close()])
  }
  try {
    const port = await server.call('port', null, { timeout: 30_000 })
    return {
      server,
      client,
      port,
      async connect({ patience = 120_000, group = MAIN, count, query = queryOf(variant), ...connect }) {
        const connection: ConnectTask = {
          transport: variant.transport,
          port,
          path: pathOf(variant),
          group,
          count,
          query,
          copies: 1,
          deaf: false,
          concurrency: 64,
          stride: 16,
          awaitAcceptance: variant.server === 'listenql' && variant.transport === 'graphql-ws',
          ...connect,
        }
        const { ms, failure } = await client.call('connect', connection, { timeout: patience })
        if (failure !== undefined) throw new Error(`not all of ${count} could connect: ${failure}`)
        return ms
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

function pathOf({ transport }: Variant): string {
  if (transport === 'raw') return '/'
  return transport === 'listen' ? `/listen/${CHANNEL}` : '/graphql'
}

export interface Reading {
  readonly server: Usage
  readonly client: GroupState
}

/** What server and subscribers have used and received so far. */
export async function read({ server, client }: Trial, group = MAIN): Promise<Reading> {
  const [usage, state] = await Promise.all([usageOf(server), client.call('state', group)])
  return { server: usage, client: state }
}

/** What happened between two readings. */
export interface Span {
  readonly delivered: number
  readonly perSecond: number
  /** Of the server, in µs for each delivered event. */
  readonly cpuPerEvent: number
  /** Of the server and of the load client, as parts of one processor. */
  readonly serverLoad: number
  readonly clientLoad: number
  /** In ms. */
  readonly p50: number
  readonly p99: number
}

export function between(start: Reading, end: Reading): Span {
  const delivered = end.client.count - start.client.count
  const perSecond = (delivered / (end.client.at - start.client.at)) * 1e6
  // A server that is busy answers late: its processor time is divided by its own time.
  const serverLoad = (end.server.cpu - start.server.cpu) / (end.server.at - start.server.at)
  return {
    delivered,
    perSecond,
    cpuPerEvent: (serverLoad * 1e6) / perSecond,
    serverLoad,
    clientLoad: (end.client.cpu - start.client.cpu) / (end.client.at - start.client.at),
    p50: end.client.p50,
    p99: end.client.p99,
  }
}
