import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { CLIENT_METRICS } from '../../src/telemetry/metrics/client-metrics.js'
import { DATABASE_METRICS } from '../../src/telemetry/metrics/database-metrics.js'
import type { Metric } from '../../src/telemetry/metrics/metric.js'
import { PROCESS_METRICS } from '../../src/telemetry/metrics/process-metrics.js'

const folder = join(import.meta.dirname, '../../deploy/monitoring')
const read = (name: string) => readFileSync(join(folder, name), 'utf8')
const METRICS: Readonly<Record<string, Metric>> = {
  ...CLIENT_METRICS,
  ...DATABASE_METRICS,
  ...PROCESS_METRICS,
}

const alerts = read('alerts.yaml')
const names = [...alerts.matchAll(/- alert: (\w+)/g)].map(([, name]) => name as string)
const dashboard = JSON.parse(read('dashboard.json')) as {
  readonly panels: readonly {
    readonly id: number
    readonly title: string
    readonly type: string
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
    readonly targets?: readonly { readonly expr: string; readonly legendFormat?: string }[]
  }[]
}
const drawn = dashboard.panels.filter(({ type }) => type !== 'row')
const expressions = [
  ...[...alerts.matchAll(/expr: (.+)/g)].map(([, expr]) => expr as string),
  ...drawn.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
]

/** The metrics of an expression, each with the labels that it compares or groups by. */
function metricsOf(expr: string): { readonly name: string; readonly labels: readonly string[] }[] {
  return [...expr.matchAll(/\b((?:listenql|process|nodejs)_\w+)(?:\{([^}]*)\})?/g)].map(
    ([, name = '', matchers = '']) => ({
      name,
      labels: [...matchers.matchAll(/(\w+)\s*(?:=~|!=|!~|=)/g)].map(([, label]) => label as string),
    }),
  )
}

function known(name: string): Metric | undefined {
  const histogram = METRICS[name.replace(/_(bucket|sum|count)$/, '')]
  return METRICS[name] ?? (histogram?.type === 'histogram' ? histogram : undefined)
}

/** Labels that Prometheus adds. */
const ADDED = ['instance', 'job']

describe('the alert rules and the dashboard', () => {
  it.each(expressions)('name metrics and labels that exist: %s', expr => {
    const used = metricsOf(expr)
    if (!expr.startsWith('up{')) expect(used.length).toBeGreaterThan(0)
    const labels = [...ADDED, 'le', ...used.flatMap(({ name }) => Object.keys(known(name)?.labels ?? {}))]
    for (const { name, labels: compared } of used) {
      expect(known(name), name).toBeDefined()
      for (const label of compared)
        expect([...ADDED, ...Object.keys(known(name)?.labels ?? {})]).toContain(label)
      // The rate of a gauge, or a counter as it is, says nothing.
      const isCounter = known(name)?.type !== 'gauge'
      const before = expr.slice(0, expr.indexOf(name))
      expect(/(rate|increase)\($/.test(before), name).toBe(isCounter)
    }
    for (const [, group = ''] of expr.matchAll(/\b(?:by|on) \(([^)]*)\)/g))
      for (const label of group.split(', ')) expect(labels).toContain(label)
  })

  it('name a paragraph of the documents for each alert, and there are no others', () => {
    const operations = readFileSync(join(folder, '../../docs/operations.md'), 'utf8')
    expect([...operations.matchAll(/^### (Listenql\w+)$/gm)].map(([, name]) => name)).toEqual(names)
    expect([...alerts.matchAll(/runbook: (.+)/g)].map(([, link]) => link)).toEqual(
      names.map(name => `docs/operations.md#${name.toLowerCase()}`),
    )
  })

  it('draw panels side by side, with legends whose labels the query returns', () => {
    for (const { title, targets = [], gridPos } of drawn) {
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24)
      for (const { expr, legendFormat = '' } of targets)
        for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
          const groups = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, group = '']) =>
            group.split(', '),
          )
          const own = metricsOf(expr).flatMap(({ name }) => Object.keys(known(name)?.labels ?? {}))
          expect(groups.length > 0 ? groups : [...own, ...ADDED], `${title}: ${legendFormat}`).toContain(
            label,
          )
        }
    }
    const places = dashboard.panels.map(({ gridPos: { x, y } }) => `${x} ${y}`)
    expect(new Set(places).size).toBe(places.length)
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length)
  })
})

const promtool = process.env.LISTENQL_PROMTOOL
describe.runIf(promtool)('Prometheus (LISTENQL_PROMTOOL)', () => {
  const run = (...args: string[]) => promisify(execFile)(promtool as string, args)

  it('accepts the rules and the configuration', async () => {
    await run('check', 'rules', join(folder, 'alerts.yaml'))
    for (const name of ['prometheus.yaml', 'compose.yaml']) await run('check', 'config', join(folder, name))
  })

  it('raises each alert when it should, and none where all is well', async () => {
    await run('test', 'rules', join(import.meta.dirname, 'alerts.yaml'))
  })
})
