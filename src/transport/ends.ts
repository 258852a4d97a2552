import { ListenqlError } from '../lib/errors.js'
import type { CutReason } from '../lib/observation.js'

/**
 * Why the server ends a subscription that its client still wants: it stops, or the client does not keep up. That is no answer to the
 * subscription; the client is to come back, and loses nothing of what has a cursor. Each transport says it as its clients understand it:
 *
 * - WebSockets are closed with a code and a reason.
 * - SSE has no word for it. `complete` means that there is nothing more, and none of its clients comes back after that. So the
 *   connection is cut, as by a network that fails. The comment that stands before the cut when the server stops is for people.
 * - Multipart: when the server stops, an error beside `payload`, which Apollo Client's RetryLink treats as a lost connection and which
 *   other clients show. A client that does not keep up takes nothing more, so its connection is cut.
 *
 * An error of the subscription and a token that has expired are answers, and end the stream as such.
 */
export type EndReason = 'stopping' | CutReason

/** How WebSockets are closed: with codes after which the client of graphql-ws connects again. */
export const CLOSES: Readonly<Record<EndReason, { readonly code: number; readonly reason: string }>> = {
  stopping: { code: 1001, reason: 'The server is stopping' },
  'buffer-full': {
    code: 1013,
    reason: 'Too slow: more than the limit is waiting for you. Connect again.',
  },
  stalled: {
    code: 1013,
    reason: 'Too slow: you have not read anything for too long. Connect again.',
  },
  'memory-full': {
    code: 1013,
    reason: 'Too slow: the server is short of memory, and most of it waits for you. Connect again.',
  },
  // The code that graphql-ws's client gives to a connection that froze, and after which it comes back.
  silent: {
    code: 4499,
    reason: 'No sign of life: no pong, and nothing else, has come since the last ping. Connect again.',
  },
}

/** What a stream over HTTP says when the server stops. */
export const SERVER_STOPPING = new ListenqlError('SERVER_STOPPING', 'The server is stopping.', {
  hint: 'subscribe again: another server, or the next, will answer',
})
