import { spawnSync } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { METRICS, type MetricName } from '../../../src/telemetry/metrics/metrics.js'
import { parseMetrics, scrape } from '../../support/metrics.js'
import { CLIENT_MOVES } from './client-moves.js'
import { DATABASE_MOVES } from './database-moves.js'
import { PROCESS_MOVES } from './process-moves.js'
import { createWorld, type Move, type World } from './world.js'

const MOVES: Readonly<Record<MetricName, Move>> = { ...CLIENT_MOVES, ...DATABASE_MOVES, ...PROCESS_MOVES }

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world?.close())

describe('on a real server', () => {
  it.each(Object.entries(MOVES))('%s moves', (_, move) => move(world), 60_000)
})

it('every metric has a test that makes it move', () => {
  expect(Object.keys(MOVES).sort()).toEqual(Object.keys(METRICS).sort())
})

it('a server without clients has connections of each transport, none, so that an autoscaler finds the metric', async () => {
  const { server } = await world.elsewhere()
  const { series } = (await scrape(server)).get('listenql_connections')!
  const values = [...series.values()].map(({ labels, value }) => [labels.transport, value])
  expect(Object.fromEntries(values)).toEqual({ 'graphql-ws': 0, listen: 0, sse: 0, multipart: 0 })
})

describe('the text', () => {
  const textFor = async (accept: string) => {
    const response = await fetch(`${(await world.server()).metricsUrl}/metrics`, { headers: { accept } })
    return { type: response.headers.get('content-type'), text: await response.text() }
  }
  /** What Prometheus sends. */
  const PROMETHEUS =
    'application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.1'

  it('is valid in the format of Prometheus, and each metric has its type and help', async () => {
    const { type, text } = await textFor('*/*')
    expect(type).toBe('text/plain; version=0.0.4; charset=utf-8')
    for (const [name, { type, help }] of parseMetrics(text, 'prometheus')) {
      expect(METRICS).toHaveProperty(name)
      expect({ type, help }).toEqual({
        type: METRICS[name as MetricName].type,
        help: `${METRICS[name as MetricName].help}.`,
      })
    }
  })

  it('is valid OpenMetrics for a client that prefers it', async () => {
    const { type, text } = await textFor(PROMETHEUS)
    expect(type).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8')
    const names = [...parseMetrics(text, 'openmetrics')].map(([title, { type }]) =>
      type === 'counter' ? `${title}_total` : title,
    )
    const { text: plain } = await textFor('text/plain')
    expect(names).toEqual([...parseMetrics(plain, 'prometheus').keys()])
  })

  const promtool = process.env.LISTENQL_PROMTOOL
  it.skipIf(!promtool)(
    `passes promtool check metrics${promtool ? '' : ' (skipped: LISTENQL_PROMTOOL does not name it; apt-get install prometheus)'}`,
    async () => {
      const { text } = await textFor('*/*')
      const { status, stderr, stdout } = spawnSync(promtool as string, ['check', 'metrics'], { input: text })
      expect({ status, output: `${stdout}${stderr}` }).toEqual({ status: 0, output: '' })
    },
  )
})

it('labels have the names of the definition, and no text of a client or viewer', async () => {
  for (const server of [await world.server(), await world.secured()])
    for (const [name, { series }] of await scrape(server))
      for (const { labels } of series.values()) {
        const { le: _, ...own } = labels
        expect(Object.keys(own)).toEqual(Object.keys(METRICS[name as MetricName].labels))
      }
})
