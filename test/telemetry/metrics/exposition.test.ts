import { expect, it } from 'vitest'
import { Histogram } from '../../../src/lib/telemetry/histogram.js'
import { expose } from '../../../src/telemetry/metrics/exposition.js'
import { type Family, METRICS } from '../../../src/telemetry/metrics/metrics.js'
import { parseMetrics } from '../../support/metrics.js'

const family = (
  name: 'listenql_events_total' | 'listenql_delivery_seconds',
  samples: Family['samples'],
): Family => ({ ...METRICS[name], name, samples })

it.each(['prometheus', 'openmetrics'] as const)(
  '%s: quotes, backslashes and line feeds of a label survive',
  format => {
    const odd = 'a "b" \\ c\nd {e="f"}'
    const text = expose([family('listenql_events_total', [{ labels: ['channel', odd], value: 3 }])], format)
    const [metric] = parseMetrics(text, format).values()
    expect([...(metric?.series.values() ?? [])]).toEqual([
      { name: 'listenql_events_total', labels: { kind: 'channel', topic: odd }, value: 3 },
    ])
  },
)

it('a histogram has cumulated buckets, sum and count; in OpenMetrics, whole bounds have a fraction', () => {
  const value = new Histogram([0.5, 1])
  for (const seconds of [0.25, 0.75, 3]) value.record(seconds)
  const families = [family('listenql_delivery_seconds', [{ labels: ['table'], value }])]
  expect(expose(families, 'prometheus').split('\n').slice(2)).toEqual([
    'listenql_delivery_seconds_bucket{kind="table",le="0.5"} 1',
    'listenql_delivery_seconds_bucket{kind="table",le="1"} 2',
    'listenql_delivery_seconds_bucket{kind="table",le="+Inf"} 3',
    'listenql_delivery_seconds_sum{kind="table"} 4',
    'listenql_delivery_seconds_count{kind="table"} 3',
    '',
  ])
  expect(expose(families, 'openmetrics')).toContain('le="1.0"} 2\n')
})

it('a metric without a sample is left out', () => {
  expect(expose([family('listenql_events_total', [])], 'prometheus')).toBe('')
  expect(expose([family('listenql_events_total', [])], 'openmetrics')).toBe('# EOF\n')
})
