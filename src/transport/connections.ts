import type { IncomingMessage } from 'node:http'
import type { Groups, Request } from '../delivery/groups.js'
import { Outbound, type OutboundOptions, type Sink } from '../delivery/outbound.js'
import type { Stop } from '../events/source.js'
import type { Observe } from '../lib/observation.js'

/** One client connection that carries subscriptions, over whichever transport. */
export interface Connection {
  readonly outbound: Outbound
  /** Resolves once subscribed; the returned function unsubscribes. */
  subscribe(request: Request<unknown>, id: string, signal: AbortSignal): Promise<Stop>
  /** The connection is gone: leaves every group. Idempotent. */
  close(): void
}

/** All client connections, to count them and to end them when the server stops. */
export interface Connections {
  open(options: OpenOptions): Connection
  /** A client that is not accepted yet: `end` is called if the server stops before the returned function was. */
  wait(end: () => void): Stop
  readonly size: number
  /** Ends every connection as its protocol says goodbye. */
  endAll(): void
  /** Drops every connection. */
  destroyAll(): void
}

export interface OpenOptions {
  readonly transport: string
  readonly request: IncomingMessage
  readonly sink: Sink
  end(): void
  destroy(): void
}

export function createConnections(options: {
  readonly groups: Groups
  readonly outbound: Pick<OutboundOptions, 'maxBuffer' | 'stallTimeout' | 'turn' | 'pressure'>
  readonly observe: Observe
}): Connections {
  const { groups, observe } = options
  const open = new Map<Connection, OpenOptions>()
  const waiting = new Set<() => void>()
  let ending = false
  /** A connection that is kept alive may bring a subscription after the goodbyes: it gets one, too. */
  const endIfLate = (end: () => void) => {
    if (ending) setImmediate(end)
  }

  return {
    wait(end) {
      waiting.add(end)
      endIfLate(() => {
        if (waiting.delete(end)) end()
      })
      return () => void waiting.delete(end)
    },
    open({ transport, request, sink, ...rest }) {
      const remote = `${request.socket.remoteAddress}:${request.socket.remotePort}`
      const outbound = new Outbound({ ...options.outbound, sink, transport, remote, observe })
      const stops = new Set<Stop>()
      const connection: Connection = {
        outbound,
        async subscribe(subscription, id, signal) {
          const topic = subscription.source.topic.name
          const leave = await groups.join(subscription, id, outbound, signal)
          observe({ type: 'subscriber.joined', transport, topic, remote })
          const stop = () => {
            if (!stops.delete(stop)) return
            leave()
            observe({ type: 'subscriber.left', transport, topic, remote })
          }
          stops.add(stop)
          if (!open.has(connection)) stop() // the client left meanwhile
          return stop
        },
        close() {
          if (!open.delete(connection)) return
          outbound.close()
          for (const stop of stops) stop()
        },
      }
      open.set(connection, { transport, request, sink, ...rest })
      endIfLate(() => {
        connection.close()
        rest.end()
      })
      return connection
    },
    get size() {
      return open.size
    },
    endAll() {
      ending = true
      for (const end of waiting) end()
      waiting.clear()
      for (const [connection, { end }] of [...open]) {
        connection.close()
        end()
      }
    },
    destroyAll() {
      for (const [connection, { destroy }] of [...open]) {
        connection.close()
        destroy()
      }
    },
  }
}
