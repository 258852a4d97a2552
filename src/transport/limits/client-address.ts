import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { createNetworks, plainAddress } from '../../lib/networks.js'

/** Finds out where requests come from. */
export interface ClientAddresses {
  /** The client's address: as trusted proxies report it in X-Forwarded-For, else that of the connection. */
  of(request: IncomingMessage): string
  /** Whether the address is that of a trusted proxy, which carries the requests of other clients. */
  isProxy(address: string | undefined): boolean
}

/**
 * @param trustProxy addresses and networks of proxies. The header is read from its end: each proxy appends the address that it got the
 * request from, and what stands before the first address that is no proxy may be made up.
 */
export function createClientAddresses(trustProxy: readonly string[]): ClientAddresses {
  const proxies = createNetworks(trustProxy)
  const isProxy = (address: string | undefined) => proxies.has(plainAddress(address ?? ''))
  return {
    isProxy,
    of({ socket, headers }) {
      let client = plainAddress(socket.remoteAddress ?? '')
      if (!isProxy(client)) return client
      const heard = [headers['x-forwarded-for'] ?? []].flat().join(',').split(',').slice(-MAX_HOPS)
      for (const item of heard.reverse()) {
        const address = addressIn(item.trim())
        if (address === undefined) break
        client = address
        if (!isProxy(client)) break
      }
      return client
    },
  }
}

/** Most proxies in a row. */
const MAX_HOPS = 20

/** Some proxies write the port, too: `10.0.0.1:80`, `[::1]:80`. */
function addressIn(text: string): string | undefined {
  const bare = /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1] ?? text.replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, '$1')
  const address = plainAddress(bare)
  return isIP(address) ? address : undefined
}
