import { BlockList, isIP } from 'node:net'

/** Addresses and networks, such as `10.0.0.0/8`. */
export interface Networks {
  has(address: string): boolean
}

/** @throws Error that begins with "must" if an item is neither */
export function createNetworks(list: readonly string[]): Networks {
  const networks = new BlockList()
  for (const item of list) {
    const [address = '', prefix, ...rest] = item.split('/')
    const family = familyOf(address)
    const bits = prefix === undefined ? undefined : Number(prefix)
    const isWhole =
      bits === undefined || (/^\d{1,3}$/.test(prefix ?? '') && bits <= (family === 'ipv4' ? 32 : 128))
    if (!family || rest.length > 0 || !isWhole)
      throw new Error(`must hold addresses and networks such as 10.0.0.0/8 or ::1; '${item}' is not one`)
    if (bits === undefined) networks.addAddress(address, family)
    else networks.addSubnet(address, bits, family)
  }
  return {
    has(address) {
      const family = familyOf(address)
      return family !== undefined && networks.check(address, family)
    },
  }
}

function familyOf(address: string): 'ipv4' | 'ipv6' | undefined {
  const version = isIP(address)
  return version === 4 ? 'ipv4' : version === 6 ? 'ipv6' : undefined
}

/** An IPv4 address in its own form, even if it is written as IPv6 (`::ffff:10.0.0.1`). */
export function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '').replace(/%.*$/, '')
}

/**
 * The smallest network of one customer: an IPv4 address, but the whole /64 network of an IPv6 address
 * (https://www.rfc-editor.org/rfc/rfc6177).
 */
export function networkOf(address: string): string {
  const plain = plainAddress(address)
  if (isIP(plain) !== 6) return plain
  const [head = '', tail] = new URL(`http://[${plain}]`).hostname.slice(1, -1).split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail ? tail.split(':') : []
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length
  const groups = [...left, ...Array.from({ length: zeros }, () => '0'), ...right]
  return `${groups.slice(0, 4).join(':')}::/64`
}
