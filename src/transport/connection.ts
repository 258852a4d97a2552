import type { IncomingMessage } from 'node:http'
import type { AccessRules } from '../auth/channel-rules.js'
import type { Session, Sessions } from '../auth/sessions.js'
import { type Viewer, viewerName } from '../auth/viewer.js'
import type { Groups } from '../delivery/groups.js'
import { Outbound, type OutboundClient, type OutboundOptions, type Traffic } from '../delivery/outbound.js'
import type { Sink } from '../delivery/sink.js'
import type { SubscriptionRequest } from '../delivery/subscription.js'
import type { SubscriptionHandle } from '../delivery/subscription-handle.js'
import type { TransactionFrames } from '../delivery/transaction-ends.js'
import { FewSet } from '../lib/collections/few-set.js'
import { isRefusal, ListenqlError, logReason } from '../lib/errors.js'
import type { ClientMemory, Hold } from '../lib/limits/client-memory.js'
import { LimitExceeded } from '../lib/limits/limit-exceeded.js'
import { networkOf } from '../lib/networks.js'
import type { CutReason, Observe, OperationSummary } from '../lib/observation.js'
import { sizeOf, textSize } from '../lib/size-of.js'
import type { Counted } from '../lib/tally.js'
import type { Position } from '../log/position.js'
import type { Topic } from '../sources/source.js'
import { CHANNELS_CHANGED, sessionEndOf } from './ends.js'
import type { ClientAddresses } from './limits/client-address.js'
import type { FilterAccounts, OpenAccount } from './limits/filter-accounts.js'
import type { ViewerLimits } from './limits/viewer-limits.js'
import {
  OpenSubscription,
  type SubscriptionDescription,
  type SubscriptionOwner,
  type Taken,
} from './open-subscription.js'

/** One client connection that carries subscriptions, over any transport. */
export interface Connection {
  readonly outbound: Outbound
  readonly transport: string
  /** The client network that the memory of its requests counts for. */
  readonly owner: string
  /** Address and port of the client, for observations. */
  readonly remote: string
  readonly peer: Peer
  /**
   * Binds the connection to one viewer. `peer.endViewer` is called when the viewer's session has ended.
   * @throws LimitExceeded if the viewer has too many connections, or there is no memory for this one
   */
  serve(viewer: Viewer): void
  /** Resolves once subscribed. May reject with LimitExceeded, and with CHANNEL_NOT_ALLOWED if a reload has withdrawn the channel. */
  subscribe(request: SubscriptionRequest<unknown>, options: SubscribeOptions): Promise<SubscriptionHandle>
  /**
   * Ends the connection, as when its viewer's time is over, if it follows a channel that its viewer may not listen to any more. The
   * client connects again, and only that subscription is refused.
   */
  recheckChannels(): void
  /** The topics of its subscriptions, each once. */
  topics(): readonly Topic[]
  /** The connection is gone: leaves every group. Idempotent. @param reason see `subscriber.left`. Default: `client` */
  close(reason?: string): void
}

/** What a transport does for a connection. */
export interface Peer {
  readonly sink: Sink
  /** Sends the goodbye of the protocol, and ends the connection. */
  end(): void
  /** Drops the connection. */
  destroy(): void
  /** Says that the viewer's session has ended, and ends the connection. The subscriptions have ended by then. */
  endViewer(reason: ListenqlError): void
}

export interface SubscribeOptions {
  /** Id of the subscription within its connection; empty on a transport with one subscription per connection. */
  readonly id: string
  /** The client's position: events after it are sent. */
  readonly after?: Position | undefined
  /** See SubscriberOptions of delivery. */
  readonly transactions?: TransactionFrames | undefined
  /** For observations. */
  readonly operation?: OperationSummary | undefined
  readonly signal: AbortSignal
}

/** What all connections of a server share. */
export interface ConnectionOptions {
  readonly groups: Groups
  readonly sessions: Sessions
  /** The channels that viewers may listen to. A reload changes them. */
  readonly rules: AccessRules
  readonly addresses: ClientAddresses
  readonly viewerLimits: ViewerLimits
  readonly memory: ClientMemory
  readonly filterAccounts: FilterAccounts
  readonly outbound: OutboundOptions
  readonly observe: Observe
}

/** What all connections of one transport share. */
export interface TransportShared {
  readonly options: ConnectionOptions
  readonly transport: string
  /** Counts what is sent. */
  readonly traffic: Traffic
  /** The number of a subscription, from the start of the server. */
  readonly nextNumber: () => number
  /** Called once for each connection, when it is gone. */
  readonly onClosed: (connection: Connection) => void
}

/** Approximate memory of a connection and of a subscription, in bytes, excluding the client's own data. */
const CONNECTION_BYTES = 8192
const SUBSCRIPTION_BYTES = 4096

export function createConnection(shared: TransportShared, request: IncomingMessage, peer: Peer): Connection {
  return new ClientConnection(shared, request, peer)
}

/** A class, since each idle client has one. */
class ClientConnection implements Connection, OutboundClient, Session, SubscriptionOwner {
  readonly outbound: Outbound
  readonly owner: string
  readonly peer: Peer
  readonly #shared: TransportShared
  readonly #address: string
  readonly #port: number | undefined
  /** Approximate memory of the connection, in bytes. */
  readonly #bytes: number
  readonly #subscriptions = new FewSet<OpenSubscription>()
  #isOpen = true
  /** Undefined: it is not bound to one yet. */
  #viewer: Viewer | undefined
  #slot: Counted | undefined
  #held: Hold | undefined
  #account: OpenAccount | undefined

  constructor(shared: TransportShared, request: IncomingMessage, peer: Peer) {
    const { addresses, outbound } = shared.options
    this.#shared = shared
    this.peer = peer
    this.#address = addresses.of(request)
    this.#port = request.socket.remotePort
    this.owner = networkOf(this.#address)
    this.#bytes = request.rawHeaders.reduce((size, text) => size + textSize(text), CONNECTION_BYTES)
    this.outbound = new Outbound(outbound, peer.sink, this)
  }

  get transport(): string {
    return this.#shared.transport
  }

  get traffic(): Traffic {
    return this.#shared.traffic
  }

  /** Not kept as a text, which each idle client would have. */
  get remote(): string {
    return `${this.#address}:${this.#port}`
  }

  serve(viewer: Viewer): void {
    if (!this.#isOpen) return // the client left meanwhile
    const { viewerLimits, memory, filterAccounts, sessions } = this.#shared.options
    try {
      this.#slot = viewerLimits.connections.take(viewer, this.#address)
      this.#held = memory.hold(this.#bytes + sizeOf(viewer.claims), this.owner)
    } catch (error) {
      this.#refused(error, viewer)
      throw error
    }
    this.#viewer = viewer
    this.#account = filterAccounts.open(viewer, this.owner)
    sessions.open(viewer, this)
  }

  async subscribe(
    request: SubscriptionRequest<unknown>,
    { id, after, transactions, operation, signal }: SubscribeOptions,
  ): Promise<SubscriptionHandle> {
    const { groups, viewerLimits, memory } = this.#shared.options
    const { isState, topic } = request.source
    const taken: Taken = { slot: undefined, held: undefined }
    let joined: SubscriptionHandle
    try {
      if (this.#viewer) taken.slot = viewerLimits.subscriptions.take(this.#viewer, this.#address)
      // The group counts its document once for all members; here it counts towards the owner's share only.
      taken.held = memory.hold(SUBSCRIPTION_BYTES + 2 * textSize(id), this.owner, request.bytes)
      const { outbound, owner } = this
      const account = this.#account
      joined = await groups.join(request, { id, outbound, after, transactions, account, owner }, signal)
      // A reload may have withdrawn the channel since it was asked for, and has not seen this subscription.
      if (topic.kind === 'channel') this.#assertListen(topic.name, joined)
    } catch (error) {
      this.#free(taken)
      this.#refused(error, this.#viewer, operation)
      throw error
    }
    const subscription = new OpenSubscription(this, joined, taken, {
      subscription: this.#shared.nextNumber(),
      kind: isState ? 'live' : topic.kind,
      ...{ topic, operation },
    })
    this.#shared.options.observe({ type: 'subscriber.joined', ...this.#describe(subscription) })
    this.#subscriptions.add(subscription)
    if (!this.#isOpen) subscription.leave() // the client left meanwhile
    return subscription
  }

  left(subscription: OpenSubscription, reason: string): void {
    this.#subscriptions.delete(subscription)
    this.#free(subscription)
    const { lasted } = subscription
    const about = { ...this.#describe(subscription), results: subscription.results(), lasted, reason }
    this.#shared.options.observe({ type: 'subscriber.left', ...about })
  }

  recheckChannels(): void {
    const channels = this.topics().flatMap(({ kind, name }) => (kind === 'channel' ? name : []))
    if (channels.some(name => this.#rights()?.mayListen(name) === false)) this.endSession(CHANNELS_CHANGED)
  }

  topics(): readonly Topic[] {
    const all = [...this.#subscriptions].map(({ topic }) => [`${topic.kind} ${topic.name}`, topic] as const)
    return [...new Map(all).values()]
  }

  endSession(reason: ListenqlError): void {
    if (!this.#viewer) return
    const { transport, remote } = this
    const why = sessionEndOf(reason)
    const viewer = viewerName(this.#viewer)
    this.#shared.options.observe({
      type: 'viewer.ended',
      ...{ transport, remote, ...viewer, reason: logReason(reason), why },
    })
    this.outbound.flush() // an error of this turn may already say why a subscription ends
    if (!this.#isOpen) return
    this.close(why)
    this.peer.endViewer(reason)
  }

  onCut(reason: CutReason): void {
    this.close(reason)
  }

  close(reason?: string): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    const { sessions, viewerLimits } = this.#shared.options
    this.#shared.onClosed(this)
    sessions.close(this)
    viewerLimits.connections.release(this.#slot)
    this.#held?.release()
    this.#account?.close()
    this.outbound.close()
    for (const subscription of this.#subscriptions) subscription.leave(reason)
  }

  #rights() {
    return this.#viewer && this.#shared.options.rules.for(this.#viewer)
  }

  /** @throws ListenqlError CHANNEL_NOT_ALLOWED; the subscription has been left then */
  #assertListen(channel: string, joined: SubscriptionHandle): void {
    try {
      this.#rights()?.assertListen(channel)
    } catch (error) {
      joined.leave()
      throw error
    }
  }

  #free({ slot, held }: Taken): void {
    this.#shared.options.viewerLimits.subscriptions.release(slot)
    held?.release()
  }

  #describe({ subscription, kind, topic, operation }: SubscriptionDescription) {
    const { transport, remote } = this
    const viewer = this.#viewer && viewerName(this.#viewer)
    return { subscription, transport, kind, topic: topic.name, remote, ...viewer, operation }
  }

  #refused(error: unknown, viewer: Viewer | undefined, operation?: OperationSummary): void {
    const code = error instanceof ListenqlError ? error.code : undefined
    if (!isRefusal(code)) return
    const { transport, remote } = this
    const limit = error instanceof LimitExceeded ? error.limit : undefined
    const name = viewer && viewerName(viewer)
    const about = { transport, remote, ...name, code, limit, operation }
    this.#shared.options.observe({ type: 'operation.refused', ...about })
  }
}
