import type { StreamFormat } from './response-sink.js'
import { retryTime, SOON_MS } from './retry.js'

const COMPLETE = 'event: complete\ndata:\n\n' // a browser drops an event without a data line

/**
 * Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html) in the "distinct connections mode" of
 * GraphQL over SSE (https://github.com/graphql/graphql-over-http/blob/main/rfcs/GraphQLOverSSE.md). JSON has no line breaks,
 * so one `data:` line holds it.
 */
export const sse: StreamFormat = {
  name: 'sse',
  headers: {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no', // otherwise nginx buffers events
  },
  // By default a browser reconnects after 3 s; a restart takes less.
  opening: `retry: ${SOON_MS}\n\n`,
  next: (json, cursor) => `event: next\n${id(cursor)}data: ${json}\n\n`,
  // A block without data is no event, but the browser remembers its id.
  keepAlive: cursor => (cursor === undefined ? ':\n\n' : `${id(cursor)}\n`),
  last(json, isRemembered) {
    const retry = `retry: ${retryTime(json, isRemembered)}\n`
    // Otherwise an EventSource would send the rejected position for ever.
    const forget = forgets(json) ? 'id:\n' : ''
    return `${retry}event: next\n${forget}data: ${json}\n\n${COMPLETE}`
  },
  goodbye: ({ code, message }) => `: ${code} ${message}\n\n`,
  isCutOff: true,
}

/**
 * The same for an EventSource. Some polyfills forget the id of a block without data: they would not know their start position, nor how
 * far a quiet subscription has come. So a position is an event of its own, for which no page has a listener. Clients of graphql-sse,
 * which POST, refuse a stream with such an event.
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
