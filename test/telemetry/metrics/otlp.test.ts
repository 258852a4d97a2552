import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { createMetrics } from '../../../src/telemetry/metrics/metrics.js'
import { otlpEndpoint, startOtlp } from '../../../src/telemetry/metrics/otlp.js'
import { Inbox } from '../../support/inbox.js'
import { createObserved } from '../../support/observed.js'

interface ExportedMetric {
  readonly name: string
  readonly unit: string
  readonly sum?: { readonly isMonotonic: boolean; readonly dataPoints: readonly Point[] }
  readonly gauge?: { readonly dataPoints: readonly Point[] }
  readonly histogram?: { readonly dataPoints: readonly Point[] }
}
interface Point {
  readonly asDouble?: number
  readonly count?: number
  readonly bucketCounts?: readonly number[]
  readonly explicitBounds?: readonly number[]
  readonly attributes: readonly unknown[]
}

const closings: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closings.splice(0)) await close()
  for (const name of Object.keys(process.env)) if (name.startsWith('OTEL_')) delete process.env[name]
})

/** A collector, and the bodies that it has received at `/v1/metrics`. */
async function startCollector(status = 200) {
  const bodies = new Inbox<{
    resourceMetrics: { resource: unknown; scopeMetrics: { metrics: ExportedMetric[] }[] }[]
  }>()
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    if (request.url === '/v1/metrics' && status === 200) bodies.push(JSON.parse(text))
    response.writeHead(status, { 'content-type': 'application/json' }).end('{}')
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  closings.push(() => server.close())
  return { bodies, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

/** The variables must be those of the process, since the exporter reads them there. */
function setVariables(variables: Record<string, string>) {
  Object.assign(process.env, variables)
}

it('sends counters, gauges and histograms with unit and labels to the endpoint of the variables, and the last values at the end', async () => {
  const { bodies, url } = await startCollector()
  setVariables({
    OTEL_EXPORTER_OTLP_ENDPOINT: url,
    OTEL_METRIC_EXPORT_INTERVAL: '50',
    OTEL_SERVICE_NAME: 'orders',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
  })
  const metrics = createMetrics()
  const observed = createObserved()
  metrics.add('listenql_gaps_total', ['outage'], 3)
  metrics.record('listenql_policy_check_seconds', ['people'], 0.02)
  metrics.read('listenql_log_bytes', () => [{ labels: [], value: 81920 }])
  const exported = await startOtlp({ metrics, version: '1.2.3', observe: observed.observe })
  const [{ resource, scopeMetrics }] = (await bodies.next('an export')).resourceMetrics as [
    { resource: unknown; scopeMetrics: { metrics: ExportedMetric[] }[] },
  ]
  expect(resource).toMatchObject({
    attributes: expect.arrayContaining([
      { key: 'service.name', value: { stringValue: 'orders' } },
      { key: 'service.version', value: { stringValue: '1.2.3' } },
      { key: 'deployment.environment.name', value: { stringValue: 'test' } },
    ]),
  })
  const find = (all: readonly { metrics: ExportedMetric[] }[], name: string) =>
    all.flatMap(scope => scope.metrics).find(metric => metric.name === name)
  expect(find(scopeMetrics, 'listenql_gaps_total')).toMatchObject({
    unit: '1',
    sum: {
      isMonotonic: true,
      dataPoints: [{ asDouble: 3, attributes: [{ key: 'cause', value: { stringValue: 'outage' } }] }],
    },
  })
  expect(find(scopeMetrics, 'listenql_log_bytes')).toMatchObject({
    unit: 'By',
    gauge: { dataPoints: [{ asDouble: 81920 }] },
  })
  const histogram = find(scopeMetrics, 'listenql_policy_check_seconds')
  expect(histogram).toMatchObject({ unit: 's', histogram: { dataPoints: [{ count: 1, sum: 0.02 }] } })
  expect(histogram?.histogram?.dataPoints[0]?.bucketCounts?.length).toBe(
    (histogram?.histogram?.dataPoints[0]?.explicitBounds?.length ?? 0) + 1,
  )

  metrics.add('listenql_gaps_total', ['outage'], 39)
  await exported?.close()
  let last: number | undefined
  while (last !== 42) {
    const [next] = (await bodies.next('the last values')).resourceMetrics
    last = find(next?.scopeMetrics ?? [], 'listenql_gaps_total')?.sum?.dataPoints[0]?.asDouble
  }
  expect(observed.all('metrics.unexported')).toEqual([])
})

it('reports a collector that refuses, and continues', async () => {
  const { url } = await startCollector(400)
  setVariables({
    OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: `${url}/v1/metrics`,
    OTEL_METRIC_EXPORT_INTERVAL: '50',
  })
  const observed = createObserved()
  const exported = await startOtlp({ metrics: createMetrics(), version: '1', observe: observed.observe })
  await observed.until('metrics.unexported', {}, 2)
  await exported?.close()
})

it('says which packages are missing', async () => {
  const observed = createObserved()
  const exported = await startOtlp({
    metrics: createMetrics(),
    version: '1',
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://localhost:4318' },
    load: () => import(String('@opentelemetry/absent')),
    observe: observed.observe,
  })
  expect(exported).toBeUndefined()
  expect(observed.all('metrics.unexported')).toEqual([
    {
      type: 'metrics.unexported',
      message: 'OTEL_EXPORTER_OTLP_ENDPOINT is set, but the packages that send metrics are not installed',
      hint: expect.stringContaining('npm install @opentelemetry/sdk-metrics'),
    },
  ])
})

it('sends nothing unless a variable names where to, or where OTEL_SDK_DISABLED or OTEL_METRICS_EXPORTER forbids it', () => {
  const OTEL_EXPORTER_OTLP_ENDPOINT = 'http://localhost:4318'
  expect(otlpEndpoint({})).toBeUndefined()
  expect(otlpEndpoint({ OTEL_EXPORTER_OTLP_ENDPOINT: '' })).toBeUndefined()
  expect(otlpEndpoint({ OTEL_EXPORTER_OTLP_ENDPOINT })).toBe('OTEL_EXPORTER_OTLP_ENDPOINT')
  expect(otlpEndpoint({ OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SDK_DISABLED: 'true' })).toBeUndefined()
  expect(otlpEndpoint({ OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_METRICS_EXPORTER: 'none' })).toBeUndefined()
})
