import type { IncomingMessage } from 'node:http'
import type { Sessions } from '../auth/sessions.js'
import type { Viewer } from '../auth/viewer.js'
import type { Groups } from '../delivery/groups.js'
import { Outbound, type OutboundOptions, type Sink } from '../delivery/outbound.js'
import type { SubscriptionHandle, SubscriptionRequest } from '../delivery/subscription.js'
import type { TransactionFrames } from '../delivery/transaction-ends.js'
import { type ListenqlError, logReason } from '../lib/errors.js'
import { FewSet } from '../lib/few-set.js'
import type { ClientMemory, Hold } from '../lib/limits/client-memory.js'
import { networkOf } from '../lib/networks.js'
import type { Observe } from '../lib/observation.js'
import { sizeOf, textSize } from '../lib/size-of.js'
import type { Stop } from '../lib/stop.js'
import type { Position } from '../log/position.js'
import type { ClientAddresses } from './limits/client-address.js'
import type { FilterAccounts, OpenAccount } from './limits/filter-accounts.js'
import { relieve } from './limits/relief.js'
import type { ViewerLimits } from './limits/viewer-limits.js'

/** One client connection that carries subscriptions, over any transport. */
export interface Connection {
  readonly outbound: Outbound
  /** The client network that the memory of its requests counts for. */
  readonly owner: string
  /**
   * Binds the connection to one viewer. `end` is called when the viewer's time is over; the connection is closed by then.
   * @throws LimitExceeded if the viewer has too many connections, or there is no memory for this one
   */
  serve(viewer: Viewer, end: (reason: ListenqlError) => void): void
  /** Resolves once subscribed. May reject with LimitExceeded. */
  subscribe(request: SubscriptionRequest<unknown>, options: SubscribeOptions): Promise<SubscriptionHandle>
  /** The connection is gone: leaves every group. Idempotent. */
  close(): void
}

export interface SubscribeOptions {
  /** Id of the subscription within its connection; empty on a transport with one subscription per connection. */
  readonly id: string
  /** The client's position: events after it are sent. */
  readonly after?: Position | undefined
  /** See SubscriberOptions of delivery. */
  readonly transactions?: TransactionFrames | undefined
  readonly signal: AbortSignal
}

/** All client connections, to count them and to end them when the server stops. */
export interface Connections {
  open(options: OpenOptions): Connection
  /** Registers a client that is not accepted yet: `end` is called if the server stops before the returned function is called. */
  wait(end: () => void): Stop
  readonly size: number
  /** Ends every connection with the goodbye of its protocol. */
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

/** Approximate memory of a connection and of a subscription, in bytes, excluding the client's own data. */
const CONNECTION_BYTES = 8192
const SUBSCRIPTION_BYTES = 4096

export function createConnections(options: {
  readonly groups: Groups
  readonly sessions: Sessions
  readonly addresses: ClientAddresses
  readonly viewerLimits: ViewerLimits
  readonly memory: ClientMemory
  readonly filterAccounts: FilterAccounts
  readonly outbound: Pick<OutboundOptions, 'maxBuffer' | 'stallTimeout' | 'scheduler' | 'backpressure'>
  readonly observe: Observe
}): Connections {
  const { groups, sessions, addresses, viewerLimits, memory, filterAccounts, observe } = options
  const open = new Map<Connection, Pick<OpenOptions, 'end' | 'destroy'>>()
  const waiting = new Set<() => void>()
  let ending = false
  /** A kept-alive connection may start a subscription after the goodbyes were sent: it gets one, too. */
  const endIfLate = (end: () => void) => {
    if (ending) setImmediate(end)
  }

  const relieveMemory = () =>
    relieve(
      memory,
      [...open.keys()].map(connection => connection.outbound),
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
    open({ transport, request, sink, end, destroy }) {
      const address = addresses.of(request)
      const remote = `${address}:${request.socket.remotePort}`
      const owner = networkOf(address)
      const outbound = new Outbound({
        ...options.outbound,
        ...{ sink, transport, remote, memory, observe },
        onCut: () => connection.close(),
      })
      const head = request.rawHeaders.reduce((size, text) => size + textSize(text), CONNECTION_BYTES)
      const stops = new FewSet<Stop>()
      let leaveSession: Stop = () => undefined
      let freeConnection: Stop = () => undefined
      let served: Viewer | undefined
      let account: OpenAccount | undefined
      const connection: Connection = {
        outbound,
        owner,
        serve(viewer, end) {
          if (!open.has(connection)) return // the client left meanwhile
          const free = viewerLimits.connection(viewer, address)
          freeConnection = free
          const held = memory.hold(head + sizeOf(viewer.claims), owner)
          freeConnection = () => {
            free()
            held.release()
          }
          served = viewer
          account = filterAccounts.open(viewer, owner)
          leaveSession = sessions.open(viewer, reason => {
            observe({ type: 'viewer.ended', transport, remote, reason: logReason(reason) })
            outbound.flush() // an error of this turn may already say why a subscription ends
            if (!open.has(connection)) return
            connection.close()
            end(reason)
          })
        },
        async subscribe(subscription, { id, after, transactions, signal }) {
          const topic = subscription.source.topic.name
          const releaseSlot = served ? viewerLimits.subscription(served, address) : () => undefined
          let held: Hold | undefined
          const free = () => {
            releaseSlot()
            held?.release()
          }
          try {
            // The group counts its document once for all members; here it counts towards the owner's share only.
            held = memory.hold(SUBSCRIPTION_BYTES + 2 * textSize(id), owner, subscription.bytes)
          } catch (error) {
            free()
            throw error
          }
          const handle = await groups
            .join(subscription, { id, outbound, after, transactions, account, owner }, signal)
            .catch((error: unknown) => {
              free()
              throw error
            })
          observe({ type: 'subscriber.joined', transport, topic, remote })
          const leave = () => {
            if (!stops.delete(leave)) return
            free()
            handle.leave()
            observe({ type: 'subscriber.left', transport, topic, remote })
          }
          stops.add(leave)
          if (!open.has(connection)) leave() // the client left meanwhile
          return { position: handle.position, leave }
        },
        close() {
          if (!open.delete(connection)) return
          leaveSession()
          freeConnection()
          account?.close()
          outbound.close()
          for (const stop of stops) stop()
        },
      }
      open.set(connection, { end, destroy })
      endIfLate(() => {
        connection.close()
        end()
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
