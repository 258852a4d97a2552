import type { ServerOptions } from '../../src/index.js'
import { type Child, startChild } from './child.js'
import type { ClientMethods, ConnectTask, GroupState } from './client-child.js'
import type { ServerMethods, ServerTask, Usage } from './server-child.js'
import { installPostgraphile } from './servers/install-postgraphile.js'
import { usageOf } from './usage.js'
import { CHANNEL, queryOf, type Variant } from './variants.js'

/** One server process and one process of subscribers, for one measurement. */
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
  /** Continue when connections are refused, or closed before they are accepted. */
  readonly tolerant?: boolean
  /** Longest wait for a connection to be accepted, in ms. */
  readonly patience?: number
}

/** The group of subscribers that is measured. */
export const MAIN = 'main'

export async function startTrial(variant: Variant, url: string, options?: ServerOptions): Promise<Trial> {
  const peer = variant.server === 'postgraphile' ? await installPostgraphile() : undefined
  const task: ServerTask = { server: variant.server, url, ...(options && { options }), ...peer }
  const server = startChild<ServerMethods>('./server-child.ts', [JSON.stringify(task)], {
    exec: ['--expose-gc', '--no-warnings'],
    ...(peer && { node: peer.node }),
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
      async connect({
        patience = 60_000,
        tolerant = false,
        group = MAIN,
        count,
        query = queryOf(variant),
        ...connect
      }) {
        const connection: ConnectTask = {
          transport: variant.transport,
          port,
          path: pathOf(variant),
          group,
          count,
          query,
          copies: 1,
          deaf: false,
          timeout: patience,
          concurrency: 64,
          stride: 16,
          awaitAcceptance: variant.server === 'listenql' && variant.transport === 'graphql-ws',
          ...connect,
        }
        const { ms, failure } = await client.call('connect', connection, { timeout: 2 * patience })
        if (failure !== undefined && !tolerant)
          throw new Error(`not all of ${count} could connect: ${failure}`)
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

/** What the server has used and the subscribers have received so far. */
export async function read({ server, client }: Trial, group = MAIN): Promise<Reading> {
  const [usage, state] = await Promise.all([usageOf(server), client.call('state', group)])
  return { server: usage, client: state }
}

/** What happened between two readings. */
export interface Span {
  readonly delivered: number
  readonly perSecond: number
  /** Processor time of the server, in µs per delivered event. */
  readonly cpuPerEvent: number
  /** Load of the server and of the load client, as shares of one processor. */
  readonly serverLoad: number
  readonly clientLoad: number
  /** In ms. */
  readonly p50: number
  readonly p99: number
}

export function between(start: Reading, end: Reading): Span {
  const delivered = end.client.count - start.client.count
  const perSecond = (delivered / (end.client.at - start.client.at)) * 1e6
  // A busy server answers late, so its processor time is divided by the time between its own answers.
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
