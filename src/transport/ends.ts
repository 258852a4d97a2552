import { ListenqlError } from '../lib/errors.js'
import type { CutReason, SessionEnd } from '../lib/observation.js'

/**
 * Why the server ends a subscription that its client still wants: the server stops, or the client does not keep up. The subscription
 * has no result then: the client should reconnect, and loses nothing of what has a cursor. Each transport tells its clients so:
 *
 * - WebSockets are closed with a code and a reason.
 * - SSE has no message for it. `complete` means that there are no more events, and no client reconnects after it. So the connection is
 *   cut, as if the network failed. The comment before the cut, when the server stops, is for human readers.
 * - Multipart: when the server stops, it sends an error beside `payload`, which Apollo Client's RetryLink treats as a lost connection
 *   and other clients show. A client that does not keep up reads nothing more, so its connection is cut.
 *
 * An error of the subscription and an expired token are results, and end the stream as such.
 */
export type EndReason = 'stopping' | CutReason

/** How WebSockets are closed: the graphql-ws client reconnects after each of these codes. */
export const CLOSES: Readonly<Record<EndReason, { readonly code: number; readonly reason: string }>> = {
  stopping: { code: 1001, reason: 'The server is stopping' },
  'buffer-full': {
    code: 1013,
    reason: 'Too slow: more bytes than the limit are waiting for you. Connect again.',
  },
  stalled: {
    code: 1013,
    reason: 'Too slow: you have not read anything for too long. Connect again.',
  },
  'memory-full': {
    code: 1013,
    reason: 'Too slow: the server is short of memory, and most of it is held for you. Connect again.',
  },
  // The code that the graphql-ws client itself uses for a connection that froze; it reconnects after it.
  silent: {
    code: 4499,
    reason: 'No pong and no other data has arrived since the last ping. Connect again.',
  },
}

/**
 * How the WebSocket of a viewer is closed when the viewer's session ends. After `Token expired` and `Session ended`, a client should
 * reconnect with another token. After 1012, every client reconnects. A viewer whose role may no longer be used has the same close as a
 * refused connection, after which clients give up.
 */
export function closeOf({ code, message }: ListenqlError): {
  readonly code: number
  readonly reason: string
} {
  if (code === CHANNELS_CHANGED.code) return { code: 1012, reason: message }
  return { code: 4403, reason: code === 'FORBIDDEN' ? 'Forbidden' : message }
}

/** Why a viewer's session has ended, for observations. */
export function sessionEndOf({ code, message }: ListenqlError): SessionEnd {
  if (code === 'FORBIDDEN') return 'role-lost'
  if (code === 'CHANNEL_NOT_ALLOWED') return 'channel-lost'
  return message === 'Token expired' ? 'token-expired' : 'kicked'
}

/** Returns the code of the error in the text of a frame that ends a subscription. */
export function endCodeOf(text: string): string {
  const { errors } = JSON.parse(text) as { errors?: { extensions?: { code?: string } }[] }
  return errors?.[0]?.extensions?.code ?? 'ended'
}

/** The end of a connection with a channel that the configuration no longer allows. Its other subscriptions resume when it comes back. */
export const CHANNELS_CHANGED = new ListenqlError('CHANNEL_NOT_ALLOWED', 'Channels have changed', {
  hint: 'reconnect: subscriptions of other channels and of tables resume',
})

/** The error of a stream over HTTP when the server stops. */
export const SERVER_STOPPING = new ListenqlError('SERVER_STOPPING', 'The server is stopping.', {
  hint: 'subscribe again: another server, or this one after a restart, will answer',
})
