import { counter, gauge, histogram, LONG_BOUNDS_S, SHORT_BOUNDS_S } from './metric.js'

const table = 'the watched tables'

/** What the server reads from the database, and the state of the event log. */
export const DATABASE_METRICS = {
  listenql_ready: gauge('1 if the part works, 0 if /readyz names it', {
    part: '`database`, `notifications`, `log`, `server` (0: it is draining or stopping)',
  }),
  listenql_delivery_lag_seconds: gauge(
    'Age of the oldest event that is committed and that this server has not dispatched; 0 if there is none',
  ),
  listenql_delivery_lag_events: gauge(
    'Events that are committed and that this server has not dispatched, counted up to about 12,000',
  ),
  listenql_log_bytes: gauge('Size of the event log'),
  listenql_log_limit_bytes: gauge(
    'Limit of the size of the event log, --max-log-size; absent without a limit',
  ),
  listenql_log_oldest_event_age_seconds: gauge('Age of the oldest event that the log keeps'),
  listenql_log_retention_seconds: gauge('How long events are kept, --retention'),
  listenql_log_cleared_bytes_total: counter('Bytes of old events that this server has cleared'),
  listenql_log_stalls_total: counter('Times that the event log could not be read beyond one place'),
  listenql_reconnects_total: counter('Times that a connection was made again after it had been lost', {
    connection: '`listen`, `log`',
  }),
  listenql_database_failures_total: counter('Failures to connect or to read, at most one for each attempt', {
    part: '`listen`, `log`, `catalog`, `policies`, `rights`, `viewers`, `rotation`',
  }),
  listenql_policy_check_seconds: histogram(
    'Time in which the policies of a table decided about one batch of changes and viewers',
    SHORT_BOUNDS_S,
    { table },
  ),
  listenql_policy_failures_total: counter('Viewers whose policies failed, so that their stream ended', {
    table,
  }),
  listenql_snapshot_seconds: histogram('Time of a read of rows, without the wait before it', LONG_BOUNDS_S, {
    purpose: '`query` (queries, `initial: true`), `live` (live queries)',
  }),
  listenql_snapshot_rows_total: counter('Rows that reads of rows returned, without linked rows', {
    purpose: '`query`, `live`',
  }),
  listenql_snapshot_coalesced_total: counter('Requests for rows that shared the read of an equal request', {
    purpose: '`query`, `live`',
  }),
  listenql_snapshot_failures_total: counter('Reads of rows that failed in the database', { table }),
  listenql_live_queries: gauge('Different live queries that are open'),
  listenql_live_results_total: counter('Reads of live queries by their result', {
    result: '`changed` (it was sent), `unchanged`',
  }),
  listenql_watched_tables: gauge('Watched tables that are in the GraphQL schema'),
  listenql_schema_builds_total: counter('Times that the GraphQL schema was built'),
  listenql_catalog_changes_total: counter('Changes of watched tables', {
    change: '`generation` (other columns), `again` (dropped and created), `gone`',
  }),
  listenql_faults_total: counter('Internal errors of the server; each is in its log'),
}
