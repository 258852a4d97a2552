import { Histogram } from '../../lib/telemetry/histogram.js'
import { CLIENT_METRICS } from './client-metrics.js'
import { DATABASE_METRICS } from './database-metrics.js'
import type { Metric } from './metric.js'
import { PROCESS_METRICS } from './process-metrics.js'

/** Every metric of the server by its name, which follows https://prometheus.io/docs/practices/naming/. */
export const METRICS = { ...CLIENT_METRICS, ...DATABASE_METRICS, ...PROCESS_METRICS } satisfies Record<
  string,
  Metric
>

export type MetricName = keyof typeof METRICS

/** The values of a metric's labels, in the order of its definition. */
export type LabelValues = readonly string[]

export interface Sample {
  readonly labels: LabelValues
  readonly value: number | Histogram
}

/** A metric with its present samples. */
export interface Family extends Metric {
  readonly name: MetricName
  readonly samples: readonly Sample[]
}

/** The values of all metrics. Some are counted here; the others are read from the parts of the server whenever metrics are collected. */
export interface Metrics {
  /** Increments a counter. @param by default: 1 */
  add(name: MetricName, labels?: LabelValues, by?: number): void
  /** Records a value in a histogram. */
  record(name: MetricName, labels: LabelValues, value: number): void
  /** Sets the function that reads the samples of a metric, instead of counting it here. */
  read(name: MetricName, samples: () => Iterable<Sample>): void
  /** Adds a task that runs before samples are read, such as a query of the database. It must not reject. */
  prepare(task: () => Promise<void>): void
  /** The samples that are counted here. */
  counted(name: MetricName): readonly Sample[]
  /** All metrics, sorted by name. A metric whose labels have had no value yet has no sample. */
  collect(): Promise<readonly Family[]>
}

/** Most combinations of labels that one metric has. Further ones count together, under `other`. */
export const MAX_SERIES = 500

const NO_LABELS: LabelValues = []

export function createMetrics(): Metrics {
  const counted = new Map<MetricName, Map<string, { labels: LabelValues; value: number | Histogram }>>()
  const reads = new Map<MetricName, () => Iterable<Sample>>()
  const tasks: (() => Promise<void>)[] = []
  for (const [name, metric] of Object.entries<Metric>(METRICS)) {
    counted.set(name as MetricName, new Map())
    // A counter that is absent until its first event hides that event from rate().
    if (metric.type !== 'gauge' && Object.keys(metric.labels).length === 0)
      seriesOf(name as MetricName, NO_LABELS)
  }

  function seriesOf(name: MetricName, labels: LabelValues) {
    const all = counted.get(name)
    if (!all) throw new Error(`there is no metric ${name}`)
    const key = labels.join('\0')
    let series = all.get(key)
    if (!series) {
      if (all.size >= MAX_SERIES && labels.some(value => value !== 'other'))
        return seriesOf(
          name,
          labels.map(() => 'other'),
        )
      const { bounds }: Metric = METRICS[name]
      series = { labels, value: bounds ? new Histogram(bounds) : 0 }
      all.set(key, series)
    }
    return series
  }

  return {
    add(name, labels = NO_LABELS, by = 1) {
      const series = seriesOf(name, labels)
      series.value = (series.value as number) + by
    },
    record(name, labels, value) {
      ;(seriesOf(name, labels).value as Histogram).record(value)
    },
    read: (name, samples) => void reads.set(name, samples),
    prepare: task => void tasks.push(task),
    counted: name => [...(counted.get(name)?.values() ?? [])],
    async collect() {
      await Promise.all(tasks.map(task => task()))
      return Object.entries<Metric>(METRICS)
        .map(([key, metric]) => {
          const name = key as MetricName
          const samples = [...(reads.get(name)?.() ?? counted.get(name)?.values() ?? [])]
          return { ...metric, name, samples }
        })
        .sort((a, b) => (a.name < b.name ? -1 : 1))
    },
  }
}
