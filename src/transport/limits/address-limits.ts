import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import { FewSet } from '../../lib/collections/few-set.js'
import { LimitExceeded } from '../../lib/limits/limit-exceeded.js'
import { networkOf } from '../../lib/networks.js'
import { type Counted, createTally } from '../../lib/tally.js'
import type { ClientAddresses } from './client-address.js'

/** A connection or a response, which closes at some time. */
export interface Closing {
  on(event: 'close', listener: () => void): unknown
}

/** Limits the connections of one address, and of all addresses together. */
export interface AddressLimits {
  /** Counts the connections of a server. */
  watch(server: Server): void
  /**
   * Checks a request or an upgrade.
   * @param carrier closes when the request is over
   * @returns the reason for a refusal; undefined if it is allowed
   */
  check(request: IncomingMessage, carrier: Closing): LimitExceeded | undefined
  /** True once each time that an address exceeds its limit, so that it does not flood the log. */
  isNews(request: IncomingMessage): boolean
}

/** See the options of the same names. They are read at each use, since a reload may change them. */
export interface AddressLimitsOptions {
  readonly maxConnectionsPerAddress: number
  readonly maxConnections: number
}

/** The part of the overall limit that may connect in addition, only to get a response with the reason; further ones are dropped. */
const ANSWERED_PART = 1 / 10

/** What one socket counts for. A class with lists of nothing, since each idle client has one. */
class CountedSocket {
  /** Whether it is one of `maxConnections`. */
  isOfAll = false
  /** The peer, if its connection exceeds the overall limit. */
  overAll: string | undefined
  /** The peer, if its connection exceeds the limit of its address. */
  over: string | undefined
  /** What its connection counts for: its address or, if it exceeds the limit, the connections that do. */
  address: Counted | undefined
  /** The requests without a response yet. */
  readonly asked = new FewSet<Asked>()
}

/** A request without a response yet. */
interface Asked {
  /** The address that it counts for. Undefined: it does not count, since its connection does. */
  readonly address: Counted | undefined
}

/**
 * A connection counts for as long as it is open, with or without requests. Connections of a proxy do not count: their requests do,
 * for the addresses that they come from. Each pipelined request counts, too.
 */
export function createAddressLimits(addresses: ClientAddresses, limits: AddressLimitsOptions): AddressLimits {
  const tally = createTally(() => limits.maxConnectionsPerAddress)
  let open = 0
  /** Connections beyond the overall limit, which wait for a response. */
  const overAll = new Set<string>()
  const excess = createTally(() => limits.maxConnectionsPerAddress)
  /** Of an open connection: over TLS, the socket that the server accepts and that of the requests are two. */
  const sockets = new WeakMap<Socket, CountedSocket>()
  /** Peers whose connection exceeds the limit, by name, since TLS has another object for the same connection. */
  const over = new Set<string>()
  const reported = new Set<string>()

  function known(socket: Socket): CountedSocket {
    const counted = sockets.get(socket) ?? new CountedSocket()
    if (!sockets.has(socket)) {
      sockets.set(socket, counted)
      socket.on('close', onClose)
    }
    return counted
  }

  function release(address: Counted | undefined): void {
    if (!address) return
    tally.release(address)
    reported.delete(address.key)
  }

  /** One function for all sockets. */
  function onClose(this: Socket): void {
    const counted = sockets.get(this)
    if (!counted) return
    sockets.delete(this)
    if (counted.isOfAll) open--
    if (counted.overAll) overAll.delete(counted.overAll)
    if (counted.over) {
      over.delete(counted.over)
      if (counted.address) excess.release(counted.address)
    } else release(counted.address)
    // A response that is queued after another one (pipelining) gets no event when its connection closes.
    for (const { address } of counted.asked) release(address)
    counted.asked.clear()
  }

  /** @returns false: the connection was dropped */
  function countOfAll(socket: Socket, counted: CountedSocket): boolean {
    if (open >= limits.maxConnections) {
      if (overAll.size >= Math.ceil(limits.maxConnections * ANSWERED_PART)) {
        socket.destroy()
        return false
      }
      counted.overAll = peerOf(socket)
      overAll.add(counted.overAll)
      return true
    }
    open++
    counted.isOfAll = true
    return true
  }

  function onConnection(socket: Socket): void {
    const { remoteAddress = '' } = socket
    // A request with an ignored upgrade emits the same socket again.
    if (sockets.has(socket)) return
    const counted = known(socket)
    if (!countOfAll(socket, counted) || addresses.isProxy(remoteAddress)) return
    const key = networkOf(remoteAddress)
    counted.address = tally.take(key)
    if (counted.address) return
    // It gets a response to its first request, unless as many connections as the limit wait for one.
    const waiting = excess.take(key)
    if (!waiting) return void socket.destroy()
    counted.address = waiting
    counted.over = peerOf(socket)
    over.add(counted.over)
  }

  return {
    watch: server => void server.on('connection', onConnection),
    check(request, carrier) {
      const { socket } = request
      const { asked } = known(socket)
      const counts = addresses.isProxy(socket.remoteAddress) || asked.size > 0
      const address = counts ? tally.take(networkOf(addresses.of(request))) : undefined
      const own: Asked = { address }
      asked.add(own)
      if (carrier !== socket)
        carrier.on('close', () => {
          if (asked.delete(own)) release(address)
        })
      if (overAll.has(peerOf(socket))) {
        return new LimitExceeded(
          'maxConnections',
          limits.maxConnections,
          `More than ${limits.maxConnections} connections are open to this server.`,
          'try again later; --max-connections on the server sets the limit',
        )
      }
      if ((!counts || address) && !over.has(peerOf(socket))) return undefined
      return new LimitExceeded(
        'maxConnectionsPerAddress',
        limits.maxConnectionsPerAddress,
        `More than ${limits.maxConnectionsPerAddress} connections are open from your address.`,
        'close some, or share them; if they come through a proxy, --trust-proxy makes its clients count separately',
      )
    },
    isNews(request) {
      const key = networkOf(addresses.of(request))
      if (reported.has(key)) return false
      reported.add(key)
      return true
    },
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}
