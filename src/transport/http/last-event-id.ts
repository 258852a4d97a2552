import type { IncomingMessage } from 'node:http'

/**
 * Names of the parameter that polyfills of EventSource put the position into, since a page may not always send the header: `lastEventId`
 * (event-source-polyfill, reconnecting-eventsource), `evs_last_event_id` (eventsource-polyfill), `lastEventID` (clients of Mercure),
 * `last-event-id`; without regard to case, hyphens and underscores.
 */
const PARAMETERS: ReadonlySet<string> = new Set(['lasteventid', 'evslasteventid'])

/**
 * The position that a client remembers by itself: the header Last-Event-ID
 * (https://html.spec.whatwg.org/multipage/server-sent-events.html#the-last-event-id-header), else the parameter of the URL. An empty
 * one counts as absent. Of several parameters the last counts, since clients append to the URL that they were given. The header is
 * newer than those: a wrapper may put the position into the URL of an EventSource, which then comes back by itself.
 */
export function lastEventIdOf({ headers }: IncomingMessage, query: URLSearchParams): string | undefined {
  const header = [headers['last-event-id'] ?? []].flat().join(', ')
  if (header !== '') return header
  let found: string | undefined
  for (const [name, value] of query)
    if (value !== '' && PARAMETERS.has(name.toLowerCase().replaceAll(/[-_]/g, ''))) found = value
  return found
}
