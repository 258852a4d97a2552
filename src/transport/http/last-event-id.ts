import type { IncomingMessage } from 'node:http'

/**
 * Names of the parameter in which polyfills of EventSource send the position, since a page cannot always set the header: `lastEventId`
 * (event-source-polyfill, reconnecting-eventsource), `evs_last_event_id` (eventsource-polyfill), `lastEventID` (clients of Mercure),
 * `last-event-id`; compared without case, hyphens and underscores.
 */
const PARAMETERS: ReadonlySet<string> = new Set(['lasteventid', 'evslasteventid'])

/**
 * The position that a client remembers by itself: the header Last-Event-ID
 * (https://html.spec.whatwg.org/multipage/server-sent-events.html#the-last-event-id-header), else the parameter of the URL. An empty
 * value counts as absent. Of several parameters the last one counts, since clients append to the URL that they were given. The header
 * wins: a wrapper may put a position into the URL of an EventSource, which later reconnects with a newer one in the header.
 */
export function lastEventIdOf({ headers }: IncomingMessage, query: URLSearchParams): string | undefined {
  const header = [headers['last-event-id'] ?? []].flat().join(', ')
  if (header !== '') return header
  let found: string | undefined
  for (const [name, value] of query)
    if (value !== '' && PARAMETERS.has(name.toLowerCase().replaceAll(/[-_]/g, ''))) found = value
  return found
}
