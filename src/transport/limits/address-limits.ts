import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import { LimitExceeded } from '../../lib/limits/limit-exceeded.js'
import { networkOf } from '../../lib/networks.js'
import { createTally } from '../../lib/tally.js'
import type { ClientAddresses } from './client-address.js'

/** Something that is closed at some time: a connection, a response. */
export interface Closing {
  once(event: 'close', listener: () => void): unknown
}

/** How many connections one address may have, and all together. */
export interface AddressLimits {
  /** Counts the connections of a server. */
  watch(server: Server): void
  /**
   * Looks at a request or an upgrade.
   * @param carrier what is closed when it is over
   * @returns why it is refused, undefined if it is not
   */
  check(request: IncomingMessage, carrier: Closing): LimitExceeded | undefined
  /** True once for each time that an address goes over its limit: a log is not to be flooded. */
  isNews(request: IncomingMessage): boolean
}

/** Of connections beyond the limit for all, so many, as a part of it, get an answer that says so; the others are dropped. */
const ANSWERED_PART = 1 / 10

/**
 * A connection counts for as long as it is open, whether something is asked over it or not; of a proxy's connections the requests
 * count, for whom they come from. Requests that do not wait for the answer to the one before (pipelining) count each, too.
 */
export function createAddressLimits(
  addresses: ClientAddresses,
  max: number,
  maxConnections: number = Number.POSITIVE_INFINITY,
): AddressLimits {
  const tally = createTally(max)
  let open = 0
  /** Connections beyond the limit for all, which wait for an answer. */
  const overAll = new Set<string>()
  const excess = createTally(max)
  const counted = new WeakSet<Socket>()
  /** Peers whose connection there is no room for. By their names, since TLS has another object for the same connection. */
  const over = new Set<string>()
  const asked = new WeakMap<Socket, Set<() => void>>()
  const told = new Set<string>()

  /** @returns undefined if there is no room */
  function take(address: string): (() => void) | undefined {
    const key = networkOf(address)
    const release = tally.take(key)
    if (!release) return undefined
    return () => {
      release()
      told.delete(key)
    }
  }

  /** What is asked over a connection and not answered yet, as what ends it. */
  function askedOver(socket: Socket): Set<() => void> {
    const known = asked.get(socket)
    if (known) return known
    const made = new Set<() => void>()
    asked.set(socket, made)
    // A response behind another one (pipelining) never hears that its connection is gone.
    socket.once('close', () => {
      for (const end of made) end()
    })
    return made
  }

  /** @returns false: it was dropped */
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
    // An ignored offer to upgrade hands the same one over again.
    if (counted.has(socket)) return
    counted.add(socket)
    if (!countOfAll(socket) || addresses.isProxy(remoteAddress)) return
    const free = take(remoteAddress)
    if (free) return void socket.once('close', free)
    // It gets an answer to its first request, unless there are just as many that wait for one.
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
        'close some, or share them; behind a proxy, --trust-proxy tells its clients apart',
      )
    },
    isNews(request) {
      const key = networkOf(addresses.of(request))
      if (told.has(key)) return false
      told.add(key)
      return true
    },
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}
