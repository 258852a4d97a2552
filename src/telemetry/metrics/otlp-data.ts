import type { HrTime } from '@opentelemetry/api'
import type {
  CollectionResult,
  DataPoint,
  MetricData,
  Histogram as OtlpHistogram,
} from '@opentelemetry/sdk-metrics'
import { Histogram } from '../../lib/telemetry/histogram.js'
import type { Family, Sample } from './metrics.js'

/** Constants of @opentelemetry/sdk-metrics, which is imported only where metrics are exported. */
export interface OtlpConstants {
  readonly AggregationTemporality: { readonly CUMULATIVE: MetricData['aggregationTemporality'] }
  readonly DataPointType: typeof import('@opentelemetry/sdk-metrics').DataPointType
  readonly ValueType: typeof import('@opentelemetry/api').ValueType
}

/** @param startedAt since when counters count, in ms since 1970 */
export function toOtlp(
  families: readonly Family[],
  startedAt: number,
  constants: OtlpConstants,
): Pick<CollectionResult['resourceMetrics'], 'scopeMetrics'> {
  const startTime = hrTime(startedAt)
  const endTime = hrTime(Date.now())
  const metrics = families
    .filter(({ samples }) => samples.length > 0)
    .map(family => metricData(family, startTime, endTime, constants))
  return { scopeMetrics: [{ scope: { name: 'listenql' }, metrics }] }
}

function metricData(
  { name, type, help, labels, samples }: Family,
  startTime: HrTime,
  endTime: HrTime,
  { AggregationTemporality, DataPointType, ValueType }: OtlpConstants,
): MetricData {
  const names = Object.keys(labels)
  const pointOf = <T>({ labels: values }: Sample, value: T): DataPoint<T> => ({
    startTime,
    endTime,
    attributes: Object.fromEntries(values.map((text, i) => [names[i] as string, text])),
    value,
  })
  const common = {
    descriptor: { name, description: help, unit: unitOf(name), valueType: ValueType.DOUBLE },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
  }
  const numbers = () => samples.map(sample => pointOf(sample, sample.value as number))
  switch (type) {
    case 'counter':
      return { ...common, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints: numbers() }
    case 'gauge':
      return { ...common, dataPointType: DataPointType.GAUGE, dataPoints: numbers() }
    case 'histogram':
      return {
        ...common,
        dataPointType: DataPointType.HISTOGRAM,
        dataPoints: samples.map(sample => pointOf(sample, histogramOf(sample.value))),
      }
  }
}

function histogramOf(value: number | Histogram): OtlpHistogram {
  if (!(value instanceof Histogram)) throw new TypeError('a histogram has no number')
  const { bounds, counts, sum, count } = value
  return { buckets: { boundaries: [...bounds], counts: [...counts] }, sum, count }
}

/** As https://ucum.org writes them, which OpenTelemetry asks for. */
function unitOf(name: string): string {
  if (/_seconds(_total)?$/.test(name)) return 's'
  return /_bytes(_total)?$/.test(name) ? 'By' : '1'
}

function hrTime(ms: number): HrTime {
  return [Math.floor(ms / 1000), Math.round((ms % 1000) * 1e6)]
}
