import type { IncomingMessage } from 'node:http'
import type { Traffic } from '../delivery/outbound.js'
import type { Stop } from '../lib/stop.js'
import type { Topic } from '../sources/source.js'
import {
  type Connection,
  type ConnectionOptions,
  createConnection,
  type Peer,
  type TransportShared,
} from './connection.js'
import { relieve } from './limits/relief.js'

/** All client connections, to count them and to end them when the server stops. */
export interface Connections {
  open(options: OpenOptions): Connection
  /** Registers a client that is not accepted yet: `end` is called if the server stops before the returned function is called. */
  wait(end: () => void): Stop
  readonly size: number
  /** The connections of each transport that has had one. */
  readonly byTransport: ReadonlyMap<string, TransportCounts>
  /** The open connections for which the most waits, the first one the most. @param most how many at most */
  slowest(most: number): readonly SlowConnection[]
  /** Ends the connections with channels that their viewers may not listen to any more; see Connection. */
  recheckChannels(): void
  /** Ends this many connections, those that were opened first, with the goodbye of their protocol. */
  endOldest(count: number): void
  /** Ends every connection with the goodbye of its protocol. */
  endAll(): void
  /** Drops every connection. */
  destroyAll(): void
}

/** The connections of one transport, and what they have been sent, since the server started. */
export interface TransportCounts extends Traffic {
  open: number
  opened: number
}

/** A connection that has not taken everything that was sent to it. */
export interface SlowConnection {
  readonly transport: string
  /** Address and port of the client. */
  readonly remote: string
  readonly waitingBytes: number
  /** For how long its socket has taken nothing, in ms; 0: it takes what it is sent. */
  readonly blockedFor: number
  /** The topics of its subscriptions, each once. */
  readonly topics: readonly Topic[]
}

export interface OpenOptions {
  readonly transport: string
  /** It is not kept. */
  readonly request: IncomingMessage
  readonly peer: Peer
}

export function createConnections(options: ConnectionOptions): Connections {
  const { memory } = options
  /** Those that were opened first come first. */
  const open = new Set<Connection>()
  const byTransport = new Map<string, TransportCounts>()
  const shared = new Map<string, TransportShared>()
  const waiting = new Set<() => void>()
  let ending = false
  let subscriptions = 0
  /** A kept-alive connection may start a subscription after the goodbyes were sent: it gets one, too. */
  const endIfLate = (end: () => void) => {
    if (ending) setImmediate(end)
  }

  function sharedBy(transport: string): TransportShared {
    const known = shared.get(transport)
    if (known) return known
    const traffic: TransportCounts = { open: 0, opened: 0, frames: 0, bytes: 0 }
    const made: TransportShared = {
      ...{ options, transport, traffic },
      nextNumber: () => ++subscriptions,
      onClosed(connection) {
        open.delete(connection)
        traffic.open--
      },
    }
    byTransport.set(transport, traffic)
    shared.set(transport, made)
    return made
  }

  function endConnection(connection: Connection): void {
    connection.close('stopping')
    connection.peer.end()
  }

  function endOldest(count: number): void {
    for (const connection of [...open].slice(0, count)) endConnection(connection)
  }

  const relieveMemory = () =>
    relieve(
      memory,
      [...open].map(connection => connection.outbound),
    )
  // Data that arrived in this turn may have been sent by the end of it.
  memory.onOver(() => options.outbound.scheduler.afterwards(relieveMemory))

  return {
    wait(end) {
      waiting.add(end)
      endIfLate(() => {
        if (waiting.delete(end)) end()
      })
      return () => void waiting.delete(end)
    },
    open({ transport, request, peer }) {
      const connection = createConnection(sharedBy(transport), request, peer)
      const counts = byTransport.get(transport) as TransportCounts
      counts.open++
      counts.opened++
      open.add(connection)
      endIfLate(() => endConnection(connection))
      return connection
    },
    get size() {
      return open.size
    },
    byTransport,
    slowest(most) {
      return [...open]
        .map(connection => ({
          transport: connection.transport,
          remote: connection.remote,
          waitingBytes: connection.outbound.waiting,
          blockedFor: connection.outbound.blockedFor,
          topics: connection.topics(),
        }))
        .filter(({ waitingBytes, blockedFor }) => waitingBytes > 0 || blockedFor > 0)
        .sort((a, b) => b.waitingBytes - a.waitingBytes || b.blockedFor - a.blockedFor)
        .slice(0, most)
    },
    recheckChannels() {
      for (const connection of [...open]) connection.recheckChannels()
    },
    endOldest,
    endAll() {
      ending = true
      for (const end of waiting) end()
      waiting.clear()
      endOldest(open.size)
    },
    destroyAll() {
      for (const connection of [...open]) {
        connection.close('stopping')
        connection.peer.destroy()
      }
    },
  }
}
