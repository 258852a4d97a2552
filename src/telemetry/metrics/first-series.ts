import type { LabelValues, MetricName } from './metrics.js'

const TRANSPORTS = ['graphql-ws', 'listen', 'sse', 'multipart']

const each = (...values: string[]): readonly LabelValues[] => values.map(value => [value])
const pairs = (first: readonly string[], second: readonly string[]): readonly LabelValues[] =>
  first.flatMap(one => second.map(other => [one, other]))

/**
 * Series that are 0 before their first event. rate() and increase() do not see the event with which a series begins, so an alert would
 * not fire when a server tells many clients at once to read again, for the first time since it started. Labels whose values are not
 * known in advance, such as statuses, are not here; those of tables begin when the table is in the schema.
 */
export const FIRST_SERIES: Partial<Record<MetricName, readonly LabelValues[]>> = {
  listenql_cursors_refused_total: each('CURSOR_EXPIRED', 'CURSOR_INVALID'),
  listenql_cutoffs_total: pairs(TRANSPORTS, ['buffer-full', 'stalled', 'memory-full', 'silent']),
  listenql_gaps_total: each('outage', 'history'),
  listenql_viewers_refused_total: pairs(
    ['http', 'graphql-ws', 'listen'],
    ['UNAUTHENTICATED', 'FORBIDDEN', 'AUTHENTICATION_UNAVAILABLE'],
  ),
  listenql_viewers_ended_total: each(...TRANSPORTS),
  listenql_reconnects_total: each('listen', 'log'),
  listenql_database_failures_total: each(
    'listen',
    'log',
    'catalog',
    'policies',
    'rights',
    'viewers',
    'rotation',
  ),
  listenql_live_results_total: each('changed', 'unchanged'),
  listenql_catalog_changes_total: each('generation', 'again', 'gone'),
}

/** Counters of a table that are 0 from the moment on in which it is in the schema. */
export const FIRST_SERIES_OF_TABLES: readonly MetricName[] = [
  'listenql_policy_failures_total',
  'listenql_snapshot_failures_total',
]
