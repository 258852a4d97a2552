import { counter, gauge, histogram, LONG_BOUNDS_S, SHORT_BOUNDS_S } from './metric.js'

/** The transports that carry subscriptions, by their names in labels. */
export const TRANSPORTS = ['graphql-ws', 'listen', 'sse', 'multipart'] as const

const transport = TRANSPORTS.map(name => `\`${name}\``).join(', ')
const kind = '`table`, `channel`, `live` (a live query)'

/** What clients have open, what they are sent and what they are refused. */
export const CLIENT_METRICS = {
  listenql_connections: gauge('Open connections that carry subscriptions', { transport }),
  listenql_connections_opened_total: counter('Connections that were opened to carry subscriptions', {
    transport,
  }),
  listenql_subscriptions: gauge('Open subscriptions', { transport, kind }),
  listenql_subscriptions_started_total: counter('Subscriptions that began', { transport, kind }),
  listenql_subscriptions_ended_total: counter('Subscriptions that ended, for whatever reason', {
    transport,
    kind,
  }),
  listenql_groups: gauge('Groups: sets of equal subscriptions, for which each event is rendered once'),
  listenql_frames_sent_total: counter('Results that were written to connections', { transport }),
  listenql_sent_bytes_total: counter(
    'Bytes of the results that were written, without the envelope of the transport',
    {
      transport,
    },
  ),
  listenql_cutoffs_total: counter('Connections that the server cut off', {
    transport,
    reason: '`buffer-full`, `stalled`, `memory-full`, `silent`',
  }),
  listenql_catch_up_seconds: histogram(
    'Time that a subscription after a cursor, or with initial rows, takes to catch up with the live stream',
    LONG_BOUNDS_S,
  ),
  listenql_cursors_refused_total: counter('Errors that told clients to read a snapshot again', {
    code: '`CURSOR_EXPIRED`, `CURSOR_INVALID`',
  }),
  listenql_errors_total: counter(
    'Errors of operations, except mistakes in documents and variables; one that ends a group counts once',
    {
      code: 'the codes of [graphql.md](graphql.md#errors)',
    },
  ),
  listenql_requests_refused_total: counter(
    'Requests that were refused before they were routed, because of host, origin, address or size',
    { transport: '`http`, `websocket`, `graphql-ws`', status: 'the status of HTTP, or `4406`' },
  ),
  listenql_viewers_refused_total: counter(
    'Viewers that were refused because of their token, role or channel',
    {
      transport: '`http`, `graphql-ws`, `listen`',
      code: '`UNAUTHENTICATED`, `FORBIDDEN`, `AUTHENTICATION_UNAVAILABLE`',
    },
  ),
  listenql_viewers_ended_total: counter(
    'Connections that ended because a token expired, a viewer was kicked, or a role or channel was lost',
    {
      transport,
    },
  ),
  listenql_client_memory_bytes: gauge('Memory that is counted for clients', {
    use: '`held` (requests, documents), `waiting` (data to be sent)',
  }),
  listenql_client_memory_limit_bytes: gauge(
    'Limit of the memory that is counted for clients, --max-client-memory',
  ),
  listenql_backpressure_pauses_total: counter(
    'Times that reading from Postgres paused until clients had caught up',
  ),
  listenql_backpressure_paused_seconds_total: counter(
    'Total time for which reading from Postgres was paused',
  ),
  listenql_oversized_events_total: counter('Events larger than --max-event, replaced by an error'),
  listenql_events_total: counter('Events of the log, and notifications, that the server has dispatched', {
    kind: '`table`, `channel`',
    topic: 'the table, or the pattern of --channels or --role-channels that matches the channel; or `other`',
  }),
  listenql_delivery_seconds: histogram(
    'Time from a change, by the clock of the database, until its result was written to the connections of a group',
    [...SHORT_BOUNDS_S, 30],
    { kind: '`table`, `channel` (events of `listenql.publish`)' },
  ),
  listenql_gaps_total: counter(
    'Gaps that subscribers of a channel were sent, because notifications may have been missed',
    {
      cause: '`outage`, `history` (a failover or restore)',
    },
  ),
}
