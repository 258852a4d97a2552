import { tableTitle } from '../../catalog/watched-table.js'
import type { Settings } from '../../config/index.js'
import type { Groups } from '../../delivery/groups.js'
import type { SendDelays } from '../../delivery/send-delays.js'
import { messageOf } from '../../lib/errors.js'
import type { ClientMemory } from '../../lib/limits/client-memory.js'
import type { Observe } from '../../lib/observation.js'
import type { ClockOffset } from '../../postgres/clock-offset.js'
import type { Pool } from '../../postgres/pool.js'
import type { EventCounts } from '../../sources/event-counts.js'
import type { Health } from '../../telemetry/health.js'
import { CONTENT_TYPES, expose } from '../../telemetry/metrics/exposition.js'
import type { Metrics } from '../../telemetry/metrics/metrics.js'
import { startOtlp } from '../../telemetry/metrics/otlp.js'
import { readProcess } from '../../telemetry/metrics/process-readings.js'
import { version } from '../../telemetry/version.js'
import type { Connections } from '../../transport/connections.js'
import { createInspection, type Inspection } from '../../transport/http/inspection.js'
import type { Sources } from '../sources.js'
import { createEventRates } from './event-rates.js'
import { readGauges } from './gauges.js'
import { createLogFigures } from './log-figures.js'
import { readStatus } from './status.js'

export interface InspectOptions {
  readonly settings: Settings
  readonly metrics: Metrics
  readonly connections: Connections
  readonly groups: Groups
  readonly memory: ClientMemory
  readonly delays: Pick<SendDelays, 'byKind'>
  readonly counts: EventCounts
  readonly sources: Pick<Sources, 'log' | 'tableOf' | 'liveQueries'>
  /** The pattern that opens a channel. */
  readonly patternOf: (channel: string) => string
  /** How many tables the schema has. */
  readonly tables: () => number
  readonly health: Health
  readonly pool: Pick<Pool, 'ask'>
  readonly clock: ClockOffset
  /** Whether anything can read them. If not, measurements that cost time are left out. */
  readonly isUsed: boolean
  readonly observe: Observe
}

/** What operators read of a server: metrics and status. */
export interface Inspect {
  readonly inspection: Inspection
  /** Measures the clock of the database again from time to time. */
  start(): void
  /** Sends the last metrics, where they are exported. Idempotent. */
  close(): Promise<void>
}

/** How often the clock of the database is measured again, in ms: clocks of machines drift apart by milliseconds an hour. */
const CLOCK_INTERVAL_MS = 60_000

/** Wires metrics and status to the parts of the server. */
export function createInspect(options: InspectOptions): Inspect {
  const { settings, metrics, sources, counts, pool, clock, observe } = options
  const { log, tableOf, liveQueries } = sources
  const nameOf = (relid: string) => {
    const table = tableOf(relid)
    return table && tableTitle(table)
  }
  const logFigures = createLogFigures({
    ask: pool.ask,
    position: () => (log.state === 'followed' || log.state === 'stalled' ? log.position : undefined),
  })
  const rates = createEventRates(counts, nameOf)
  readGauges(metrics, { ...options, settings, liveQueries, nameOf, logFigures: () => logFigures.present })
  const stopProcess = options.isUsed ? readProcess(metrics, version()) : undefined
  metrics.prepare(logFigures.refresh)
  const onFault = (error: unknown) =>
    observe({
      type: 'fault',
      id: 'metrics',
      message: `metrics could not be read: ${messageOf(error)}`,
      error,
    })
  const inspection = createInspection(
    {
      async metrics(isOpenMetrics) {
        const format = isOpenMetrics ? 'openmetrics' : 'prometheus'
        return { type: CONTENT_TYPES[format], text: expose(await metrics.collect(), format) }
      },
      status: () => readStatus({ ...options, version: version(), liveQueries, rates, logFigures }),
    },
    onFault,
  )
  const exported = startOtlp({ metrics, version: version(), observe })
  let timer: NodeJS.Timeout | undefined
  let closed: Promise<void> | undefined
  return {
    inspection,
    start() {
      if (!options.isUsed) return
      void clock.measure()
      timer ??= setInterval(() => void clock.measure(), CLOCK_INTERVAL_MS).unref()
    },
    close() {
      closed ??= (async () => {
        clearInterval(timer)
        rates.close()
        await (await exported)?.close()
        stopProcess?.()
      })()
      return closed
    },
  }
}
