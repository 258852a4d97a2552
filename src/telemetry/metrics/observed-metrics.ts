import type { Observation, Observe } from '../../lib/observation.js'
import { FIRST_SERIES, FIRST_SERIES_OF_TABLES } from './first-series.js'
import type { MetricName, Metrics } from './metrics.js'

/** Counts the observations of the core. */
export function createMetricsObserver(metrics: Metrics): Observe {
  const { add, record } = metrics
  for (const [name, series] of Object.entries(FIRST_SERIES))
    for (const labels of series) add(name as MetricName, labels, 0)
  /** How many connections of each kind have worked; the first one is no reconnect. */
  const worked = new Set<string>()
  const reconnected = (connection: 'listen' | 'log') => {
    if (worked.has(connection)) add('listenql_reconnects_total', [connection])
    worked.add(connection)
  }
  const failed = (part: string) => add('listenql_database_failures_total', [part])

  return (observation: Observation) => {
    switch (observation.type) {
      case 'database.connected':
        return reconnected('listen')
      case 'log.followed':
        return reconnected('log')
      case 'database.lost':
      case 'database.unreachable':
      case 'database.deaf':
        return failed('listen')
      case 'log.lost':
        return failed('log')
      case 'catalog.failed':
        return failed('catalog')
      case 'policies.lost':
        return failed('policies')
      case 'rights.failed':
        return failed('rights')
      case 'viewers.unchecked':
        return failed('viewers')
      case 'log.rotation-failed':
        return failed('rotation')
      case 'log.stalled':
        return add('listenql_log_stalls_total')
      case 'log.rotated':
        return add('listenql_log_cleared_bytes_total', [], observation.droppedBytes)
      case 'table.changed':
        return add('listenql_catalog_changes_total', [observation.change])
      case 'schema.built':
        for (const table of observation.tables)
          for (const name of FIRST_SERIES_OF_TABLES) add(name, [table], 0)
        return add('listenql_schema_builds_total')
      case 'policies.checked':
        return record('listenql_policy_check_seconds', [observation.table], observation.took / 1000)
      case 'policy.failed':
        return add('listenql_policy_failures_total', [observation.table])
      case 'snapshot.read': {
        const { purpose, took, rows, requests } = observation
        record('listenql_snapshot_seconds', [purpose], took / 1000)
        add('listenql_snapshot_rows_total', [purpose], rows)
        return add('listenql_snapshot_coalesced_total', [purpose], requests - 1)
      }
      case 'snapshot.failed':
        return add('listenql_snapshot_failures_total', [observation.table])
      case 'live.read':
        return add('listenql_live_results_total', [observation.isNew ? 'changed' : 'unchanged'])
      case 'reading.paused':
        return add('listenql_backpressure_pauses_total')
      case 'reading.resumed':
        return add('listenql_backpressure_paused_seconds_total', [], observation.pausedFor / 1000)
      case 'event.too-large':
        return add('listenql_oversized_events_total')
      case 'subscriber.joined':
        return add('listenql_subscriptions_started_total', [observation.transport, observation.kind])
      case 'subscriber.left':
        return add('listenql_subscriptions_ended_total', [observation.transport, observation.kind])
      case 'subscriber.caught-up':
        return record('listenql_catch_up_seconds', [], observation.took / 1000)
      case 'subscriber.cut':
        return add('listenql_cutoffs_total', [observation.transport, observation.reason])
      case 'request.refused':
        return add('listenql_requests_refused_total', [observation.transport, String(observation.status)])
      case 'viewer.refused':
        return add('listenql_viewers_refused_total', [observation.transport, observation.code])
      case 'viewer.ended':
        return add('listenql_viewers_ended_total', [observation.transport])
      case 'channel.gap':
        return add('listenql_gaps_total', [observation.cause])
      case 'client.error': {
        const { code } = observation
        if (code === 'CURSOR_EXPIRED' || code === 'CURSOR_INVALID')
          add('listenql_cursors_refused_total', [code])
        return add('listenql_errors_total', [code])
      }
      case 'fault':
        return add('listenql_faults_total')
    }
  }
}
