import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import { LimitExceeded } from '../../lib/limits/limit-exceeded.js'
import { networkOf } from '../../lib/networks.js'
import { createTally } from '../../lib/tally.js'
import type { ClientAddresses } from './client-address.js'

/** A connection or a response, which closes at some time. */
export interface Closing {
  once(event: 'close', listener: () => void): unknown
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

/** The part of the overall limit that may connect in addition, only to get a response with the reason; further ones are dropped. */
const ANSWERED_PART = 1 / 10

/**
 * A connection counts for as long as it is open, with or without requests. Connections of a proxy do not count: their requests do,
 * for the addresses that they come from. Each pipelined request counts, too.
 */
export function createAddressLimits(
  addresses: ClientAddresses,
  max: number,
  maxConnections: number = Number.POSITIVE_INFINITY,
): AddressLimits {
  const tally = createTally(max)
  let open = 0
  /** Connections beyond the overall limit, which wait for a response. */
  const overAll = new Set<string>()
  const excess = createTally(max)
  const counted = new WeakSet<Socket>()
  /** Peers whose connection exceeds the limit, by name, since TLS has another object for the same connection. */
  const over = new Set<string>()
  const asked = new WeakMap<Socket, Set<() => void>>()
  const reported = new Set<string>()

  /** @returns undefined if there is no room */
  function take(address: string): (() => void) | undefined {
    const key = networkOf(address)
    const release = tally.take(key)
    if (!release) return undefined
    return () => {
      release()
      reported.delete(key)
    }
  }

  /** The requests of a connection without a response yet, each as the function that ends it. */
  function askedOver(socket: Socket): Set<() => void> {
    const known = asked.get(socket)
    if (known) return known
    const made = new Set<() => void>()
    asked.set(socket, made)
    // A response that is queued after another one (pipelining) gets no event when its connection closes.
    socket.once('close', () => {
      for (const end of made) end()
    })
    return made
  }

  /** @returns false: the connection was dropped */
  function countOfAll(socket: Socket): boolean {
    if (open >= maxConnections) {
      if (overAll.size >= Math.ceil(maxConnections * ANSWERED_PART)) {
        socket.destroy()
        return false
      }
      const peer = peerOf(socket)
      overAll.add(peer)
      socket.once('close', () => overAll.delete(peer))
      return true
    }
    open++
    socket.once('close', () => open--)
    return true
  }

  function onConnection(socket: Socket): void {
    const { remoteAddress = '' } = socket
    // A request with an ignored upgrade emits the same socket again.
    if (counted.has(socket)) return
    counted.add(socket)
    if (!countOfAll(socket) || addresses.isProxy(remoteAddress)) return
    const free = take(remoteAddress)
    if (free) return void socket.once('close', free)
    // It gets a response to its first request, unless as many connections as the limit wait for one.
    const release = excess.take(networkOf(remoteAddress))
    if (!release) return void socket.destroy()
    const peer = peerOf(socket)
    over.add(peer)
    socket.once('close', () => {
      over.delete(peer)
      release()
    })
  }

  return {
    watch: server => void server.on('connection', onConnection),
    check(request, carrier) {
      const { socket } = request
      const others = askedOver(socket)
      const counts = addresses.isProxy(socket.remoteAddress) || others.size > 0
      const free = counts ? take(addresses.of(request)) : () => undefined
      const end = () => {
        if (others.delete(end)) free?.()
      }
      others.add(end)
      carrier.once('close', end)
      if (overAll.has(peerOf(socket))) {
        return new LimitExceeded(
          'maxConnections',
          maxConnections,
          `More than ${maxConnections} connections are open to this server.`,
          'try again later; --max-connections on the server sets the limit',
        )
      }
      if (free && !over.has(peerOf(socket))) return undefined
      return new LimitExceeded(
        'maxConnectionsPerAddress',
        max,
        `More than ${max} connections are open from your address.`,
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
