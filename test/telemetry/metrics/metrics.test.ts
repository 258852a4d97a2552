import { expect, it } from 'vitest'
import { FIRST_SERIES } from '../../../src/telemetry/metrics/first-series.js'
import type { Metric } from '../../../src/telemetry/metrics/metric.js'
import {
  createMetrics,
  MAX_SERIES,
  METRICS,
  type MetricName,
} from '../../../src/telemetry/metrics/metrics.js'
import { createMetricsObserver } from '../../../src/telemetry/metrics/observed-metrics.js'

async function samplesOf(metrics: ReturnType<typeof createMetrics>, name: MetricName) {
  return (await metrics.collect()).find(family => family.name === name)?.samples ?? []
}

it('names follow the conventions of Prometheus: a prefix, the base unit and _total for counters only', () => {
  for (const [name, { type }] of Object.entries(METRICS)) {
    expect(name).toMatch(/^(listenql|process|nodejs)_[a-z0-9_]+$/)
    expect(name.endsWith('_total'), name).toBe(type === 'counter')
    expect(name, 'base units only').not.toMatch(/_(ms|milliseconds|kb|kilobytes|minutes)(_|$)/)
  }
})

it('a counter without labels is 0 before its first event, so that rate() sees the event', async () => {
  expect(await samplesOf(createMetrics(), 'listenql_faults_total')).toEqual([{ labels: [], value: 0 }])
})

it('counters by which alerts notice a first event are 0 before it, also those of a table in the schema', async () => {
  const metrics = createMetrics()
  const observe = createMetricsObserver(metrics)
  observe({ type: 'schema.built', tables: ['people', 'chat.messages'] })
  expect(await samplesOf(metrics, 'listenql_cursors_refused_total')).toEqual([
    { labels: ['CURSOR_EXPIRED'], value: 0 },
    { labels: ['CURSOR_INVALID'], value: 0 },
  ])
  expect(await samplesOf(metrics, 'listenql_policy_failures_total')).toEqual([
    { labels: ['people'], value: 0 },
    { labels: ['chat.messages'], value: 0 },
  ])
  for (const [name, series] of Object.entries(FIRST_SERIES))
    for (const labels of series) {
      const known: Metric = METRICS[name as MetricName]
      expect(labels.length, name).toBe(Object.keys(known.labels).length)
      // The texts of the definition name the values.
      for (const [i, values] of Object.values(known.labels).entries())
        expect(values, name).toContain(labels[i])
    }
})

it('however many values a label would have, a metric has a bounded number of series, and no count is lost', async () => {
  const metrics = createMetrics()
  for (let i = 0; i < 10 * MAX_SERIES; i++) metrics.add('listenql_policy_failures_total', [`table ${i}`])
  for (let i = 0; i < 10 * MAX_SERIES; i++)
    metrics.record('listenql_policy_check_seconds', [`table ${i}`], 0.1)
  const failures = await samplesOf(metrics, 'listenql_policy_failures_total')
  expect(failures.length).toBe(MAX_SERIES + 1)
  expect(failures.at(-1)).toEqual({ labels: ['other'], value: 9 * MAX_SERIES })
  const checks = await samplesOf(metrics, 'listenql_policy_check_seconds')
  expect(checks.length).toBe(MAX_SERIES + 1)
  expect(checks.at(-1)?.value).toMatchObject({ count: 9 * MAX_SERIES })
})

it('no observation brings an address, a channel or a message of a client into a label', async () => {
  const metrics = createMetrics()
  const observe = createMetricsObserver(metrics)
  const secret = 'viewer-42'
  const common = { transport: 'sse', remote: secret, topic: secret } as const
  const about = { ...common, kind: 'channel', subscription: 1, role: secret, user: secret } as const
  observe({ type: 'subscriber.joined', ...about })
  observe({ type: 'subscriber.left', ...about, results: 1, lasted: 1, reason: secret })
  observe({ type: 'subscriber.caught-up', topic: secret, took: 1 })
  observe({ type: 'subscriber.cut', ...common, reason: 'stalled', waiting: 1 })
  observe({ type: 'request.refused', ...common, status: 403, message: secret })
  observe({ type: 'viewer.refused', ...common, code: 'FORBIDDEN', reason: secret })
  observe({ type: 'viewer.ended', ...common, reason: secret, why: 'kicked' })
  observe({ type: 'event.too-large', topic: secret, bytes: 1, limit: 1 })
  observe({ type: 'channel.gap', channel: secret, cause: 'outage' })
  observe({ type: 'fault', id: secret, message: secret, error: secret })
  observe({ type: 'policy.failed', table: 'people', role: secret, message: secret })
  const labels = (await metrics.collect()).flatMap(({ samples }) => samples.flatMap(sample => sample.labels))
  expect(labels).toContain('stalled')
  expect(labels).not.toContain(secret)
})

it('values that are read elsewhere are prepared first, and read once for each collection', async () => {
  const metrics = createMetrics()
  let value = 0
  metrics.prepare(async () => {
    value = 7
  })
  metrics.read('listenql_groups', () => [{ labels: [], value }])
  expect(await samplesOf(metrics, 'listenql_groups')).toEqual([{ labels: [], value: 7 }])
})
