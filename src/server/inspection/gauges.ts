import type { Settings } from '../../config/index.js'
import type { Groups } from '../../delivery/groups.js'
import type { SendDelays } from '../../delivery/send-delays.js'
import type { ClientMemory } from '../../lib/limits/client-memory.js'
import type { LiveQueries } from '../../live/live-contract.js'
import type { EventCounts } from '../../sources/event-counts.js'
import type { Health, HealthPart } from '../../telemetry/health.js'
import { TRANSPORTS } from '../../telemetry/metrics/client-metrics.js'
import { type LabelValues, MAX_SERIES, type Metrics, type Sample } from '../../telemetry/metrics/metrics.js'
import { one } from '../../telemetry/metrics/process-readings.js'
import type { Connections, TransportCounts } from '../../transport/connections.js'
import type { LogFigures } from './log-figures.js'

/** Where the metrics are read that need no observation. */
export interface GaugeOptions {
  readonly settings: Pick<Settings, 'maxLogSize' | 'retention'>
  readonly connections: Pick<Connections, 'byTransport'>
  readonly groups: Pick<Groups, 'size'>
  readonly memory: ClientMemory
  readonly delays: Pick<SendDelays, 'byKind'>
  readonly counts: EventCounts
  readonly nameOf: (relid: string) => string | undefined
  readonly liveQueries: Pick<LiveQueries, 'size'>
  readonly tables: () => number
  readonly logFigures: () => LogFigures | undefined
  readonly health: Pick<Health, 'problems'>
}

const PARTS: readonly HealthPart[] = ['database', 'notifications', 'log', 'server']

/** Reads these metrics whenever the others are collected. */
export function readGauges(metrics: Metrics, options: GaugeOptions): void {
  const { settings, connections, groups, memory, delays, liveQueries, health } = options
  const ofTransports = (value: (of: TransportCounts) => number) => () =>
    TRANSPORTS.map(transport => {
      const of = connections.byTransport.get(transport)
      // 0 for a transport without clients: an autoscaler counts a pod whose metric is missing as busy, and keeps it.
      return { labels: [transport], value: of ? value(of) : 0 }
    })
  metrics.read(
    'listenql_connections',
    ofTransports(({ open }) => open),
  )
  metrics.read(
    'listenql_connections_opened_total',
    ofTransports(({ opened }) => opened),
  )
  metrics.read(
    'listenql_frames_sent_total',
    ofTransports(({ frames }) => frames),
  )
  metrics.read(
    'listenql_sent_bytes_total',
    ofTransports(({ bytes }) => bytes),
  )
  metrics.read('listenql_subscriptions', () =>
    difference(
      metrics.counted('listenql_subscriptions_started_total'),
      metrics.counted('listenql_subscriptions_ended_total'),
    ),
  )
  metrics.read('listenql_groups', () => one(groups.size.groups))
  metrics.read('listenql_client_memory_bytes', () => [
    { labels: ['held'], value: memory.held },
    { labels: ['waiting'], value: memory.waiting },
  ])
  metrics.read('listenql_client_memory_limit_bytes', () => one(memory.max))
  metrics.read('listenql_events_total', () => eventSamples(options))
  metrics.read('listenql_delivery_seconds', () =>
    Object.entries(delays.byKind).map(([kind, value]) => ({ labels: [kind], value })),
  )
  metrics.read('listenql_live_queries', () => one(liveQueries.size))
  metrics.read('listenql_watched_tables', () => one(options.tables()))
  metrics.read('listenql_ready', () => {
    const broken = health.problems().map(({ part }) => part)
    return PARTS.map(part => ({ labels: [part], value: broken.includes(part) ? 0 : 1 }))
  })
  const ofLog = (value: (figures: LogFigures) => number | undefined) => () => {
    const figures = options.logFigures()
    const known = figures && value(figures)
    return known === undefined ? [] : one(known)
  }
  metrics.read(
    'listenql_log_bytes',
    ofLog(({ bytes }) => bytes),
  )
  metrics.read(
    'listenql_log_oldest_event_age_seconds',
    ofLog(({ oldestSeconds }) => oldestSeconds),
  )
  metrics.read(
    'listenql_delivery_lag_events',
    ofLog(({ lagEvents }) => lagEvents),
  )
  metrics.read(
    'listenql_delivery_lag_seconds',
    ofLog(({ lagSeconds }) => lagSeconds),
  )
  metrics.read('listenql_log_limit_bytes', () =>
    settings.maxLogSize === undefined ? [] : one(settings.maxLogSize),
  )
  metrics.read('listenql_log_retention_seconds', () => one(settings.retention / 1000))
}

/** Tables that are not watched any more, and those beyond MAX_SERIES, count together, as `other`. */
function eventSamples({ counts, nameOf }: Pick<GaugeOptions, 'counts' | 'nameOf'>): readonly Sample[] {
  const sums = new Map<string, { labels: LabelValues; value: number }>()
  const add = (kind: string, name: string, events: number) => {
    const topic = sums.size < MAX_SERIES || sums.has(`${kind} ${name}`) ? name : 'other'
    const key = `${kind} ${topic}`
    const sum = sums.get(key) ?? { labels: [kind, topic], value: 0 }
    sum.value += events
    sums.set(key, sum)
  }
  for (const [relid, { events }] of counts.tables) add('table', nameOf(relid) ?? 'other', events)
  for (const [pattern, { events }] of counts.channels) add('channel', pattern, events)
  return [...sums.values()]
}

/** What began and has not ended. */
function difference(started: readonly Sample[], ended: readonly Sample[]): readonly Sample[] {
  return started.map(({ labels, value }) => {
    const key = labels.join('\0')
    const over = ended.find(other => other.labels.join('\0') === key)
    return { labels, value: (value as number) - ((over?.value as number | undefined) ?? 0) }
  })
}
