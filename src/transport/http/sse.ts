import type { StreamFormat } from './response-sink.js'
import { retryTime, SOON_MS } from './retry.js'

const COMPLETE = 'event: complete\ndata:\n\n' // without a data line a browser would drop the event

/**
 * Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html) in the "distinct connections mode" of
 * GraphQL over SSE (https://github.com/graphql/graphql-over-http/blob/main/rfcs/GraphQLOverSSE.md). JSON has no line breaks,
 * so that one `data:` line holds it.
 */
export const sse: StreamFormat = {
  name: 'sse',
  headers: {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no', // nginx would hold events back
  },
  // A browser comes back after 3 s by itself; a restart takes less.
  opening: `retry: ${SOON_MS}\n\n`,
  next: (json, cursor) => `event: next\n${id(cursor)}data: ${json}\n\n`,
  // A block without data is no event, but its id is remembered.
  keepAlive: cursor => (cursor === undefined ? ':\n\n' : `${id(cursor)}\n`),
  last(json, isRemembered) {
    const retry = `retry: ${retryTime(json, isRemembered)}\n`
    // Else an EventSource would come with the position for ever that was rejected.
    const forget = forgets(json) ? 'id:\n' : ''
    return `${retry}event: next\n${forget}data: ${json}\n\n${COMPLETE}`
  },
  goodbye: ({ code, message }) => `: ${code} ${message}\n\n`,
  isCutOff: true,
}

/**
 * The same for an EventSource. Of a block without data some polyfills forget the id, and would not know where they started, nor how far
 * a quiet subscription has come. So a position comes as an event of its own, which nobody listens to. Clients of graphql-sse, which
 * POST, refuse a stream with such an event.
 */
export const eventSource: StreamFormat = {
  ...sse,
  keepAlive: cursor => (cursor === undefined ? ':\n\n' : `event: position\n${id(cursor)}data:\n\n`),
}

function id(cursor: string | undefined): string {
  return cursor === undefined ? '' : `id: ${cursor}\n`
}

/** Whether a result rejects a position. */
function forgets(json: string): boolean {
  return json.includes('"code":"CURSOR_')
}
