import { ListenqlError } from '../lib/errors.js'
import { PROOF_CHANNEL } from './delivery-proof.js'

/** A notification on it tells servers to check for new kicks. */
export const KICK_CHANNEL = 'listenql_kick'

/** Each server has a channel with this prefix, for `/healthz?deep`. */
export const HEALTH_CHANNEL_PREFIX = 'listenql_health_'

/**
 * The channels that listenql itself uses (see doorbell.ts, delivery-proof.ts); clients may not listen to them or publish on
 * them.
 */
export function isInternalChannel(name: string): boolean {
  return (
    name === 'listenql' ||
    name === KICK_CHANNEL ||
    name === PROOF_CHANNEL ||
    name.startsWith(HEALTH_CHANNEL_PREFIX)
  )
}

/** Longest channel name in bytes of UTF-8: NAMEDATALEN - 1. LISTEN would silently truncate a longer one, and receive nothing. */
export const MAX_CHANNEL_BYTES = 63

/**
 * Checks that Postgres accepts `name` as a channel, with any characters: LISTEN quotes it.
 * @throws ListenqlError CHANNEL_NAME_INVALID if it is empty, longer than 63 bytes, or has a character that Postgres text cannot hold.
 */
export function assertChannelName(name: string): void {
  const problem = problemOf(name)
  if (problem !== undefined) throw new ListenqlError('CHANNEL_NAME_INVALID', problem)
}

/** Whether `assertChannelName` accepts the name. */
export function isChannelName(name: string): boolean {
  return problemOf(name) === undefined
}

function problemOf(name: string): string | undefined {
  if (name === '') return 'a channel name may not be empty'
  const bytes = Buffer.byteLength(name)
  if (bytes > MAX_CHANNEL_BYTES)
    return `a channel name may have ${MAX_CHANNEL_BYTES} bytes at most, '${name.slice(0, 20)}…' has ${bytes}`
  if (name.includes('\0') || /\p{Surrogate}/u.test(name))
    return 'a channel name may not hold a NUL or half a surrogate pair'
  return undefined
}
