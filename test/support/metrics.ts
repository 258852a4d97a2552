import type { ListenqlServer } from '../../src/index.js'

/** One metric as a scraper reads it. */
export interface ScrapedMetric {
  readonly type: string
  readonly help: string
  /** By the name and the labels of the series. */
  readonly series: ReadonlyMap<string, ScrapedSeries>
}

export interface ScrapedSeries {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const COMMENT = new RegExp(`^# (HELP|TYPE|UNIT) (${NAME}) (.+)$`)
const SERIES = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (\\S+)$`)
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:\\[\\"n]|[^"\\\n])*)"(,|$)/y

/**
 * Parses the text formats of Prometheus and OpenMetrics, and throws at anything that they do not allow: an unknown or late comment, a
 * series outside its metric, a series twice, a wrong suffix, a label that is not escaped, buckets that decrease.
 */
export function parseMetrics(text: string, format: 'prometheus' | 'openmetrics'): Map<string, ScrapedMetric> {
  if (!text.endsWith('\n')) throw new Error('the text does not end with a line feed')
  const lines = text.slice(0, -1).split('\n')
  if (format === 'openmetrics' && lines.pop() !== '# EOF') throw new Error('the text does not end with # EOF')
  const metrics = new Map<string, ScrapedMetric & { series: Map<string, ScrapedSeries> }>()
  let open: { title: string; type: string; help: string } | undefined
  for (const line of lines) {
    const [, keyword, title, rest] = COMMENT.exec(line) ?? []
    if (keyword === 'HELP') {
      if (metrics.has(title as string)) throw new Error(`${title} comes twice`)
      open = { title: title as string, help: rest as string, type: '' }
    } else if (keyword !== undefined) {
      if (!open || open.title !== title) throw new Error(`no HELP before: ${line}`)
      if (keyword === 'TYPE') {
        open.type = rest as string
        metrics.set(open.title, { type: open.type, help: open.help, series: new Map() })
      } else if (format !== 'openmetrics' || !open.title.endsWith(`_${rest}`))
        throw new Error(`wrong: ${line}`)
    } else {
      const [, name, labelText = '', valueText] = SERIES.exec(line) ?? []
      if (name === undefined || !open) throw new Error(`not a series: ${line}`)
      const suffix = name.startsWith(open.title) ? name.slice(open.title.length) : undefined
      if (suffix === undefined || !suffixes(open.type, format).includes(suffix))
        throw new Error(`${name} is no series of ${open.type} ${open.title}`)
      const value = valueText === '+Inf' ? Number.POSITIVE_INFINITY : Number(valueText)
      if (Number.isNaN(value)) throw new Error(`not a number: ${line}`)
      const series = metrics.get(open.title)?.series
      if (series?.has(`${name} ${labelText}`)) throw new Error(`comes twice: ${line}`)
      series?.set(`${name} ${labelText}`, { name, labels: parseLabels(labelText), value })
    }
  }
  for (const [title, { type, series }] of metrics) {
    if (series.size === 0) throw new Error(`${title} has no series`)
    if (type === 'histogram') checkBuckets(title, [...series.values()])
  }
  return metrics
}

function suffixes(type: string, format: 'prometheus' | 'openmetrics'): readonly string[] {
  if (type === 'histogram') return ['_bucket', '_sum', '_count']
  if (type !== 'counter' && type !== 'gauge') throw new Error(`no type: ${type}`)
  return [type === 'counter' && format === 'openmetrics' ? '_total' : '']
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  for (LABEL.lastIndex = 0; LABEL.lastIndex < text.length; ) {
    const [, name, value] = LABEL.exec(text) ?? []
    if (name === undefined || value === undefined || name in labels) throw new Error(`wrong labels: ${text}`)
    labels[name] = value.replace(/\\(.)/g, (_, escaped) => (escaped === 'n' ? '\n' : escaped))
  }
  return labels
}

function checkBuckets(title: string, series: readonly ScrapedSeries[]): void {
  const last = new Map<string, ScrapedSeries>()
  for (const each of series.filter(({ name }) => name === `${title}_bucket`)) {
    const { le, ...labels } = each.labels
    const key = JSON.stringify(labels)
    const before = last.get(key)
    const bound = (one: ScrapedSeries) =>
      Number(one.labels.le === '+Inf' ? Number.POSITIVE_INFINITY : one.labels.le)
    if (before && (bound(before) >= bound(each) || before.value > each.value))
      throw new Error(`the buckets of ${title} are out of order at ${le}`)
    last.set(key, each)
  }
  for (const { labels, value } of series.filter(({ name }) => name === `${title}_count`)) {
    const all = last.get(JSON.stringify(labels))
    if (all?.labels.le !== '+Inf' || all.value !== value) throw new Error(`${title} has a wrong last bucket`)
  }
}

/** Reads the metrics of a server. */
export async function scrape(
  server: Pick<ListenqlServer, 'metricsUrl'>,
): Promise<Map<string, ScrapedMetric>> {
  const response = await fetch(`${server.metricsUrl}/metrics`)
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`)
  return parseMetrics(await response.text(), 'prometheus')
}

/**
 * The sum of the series of a metric that have these labels; of a histogram, the number of its values. Undefined: there is no such
 * series.
 */
export async function readValue(
  server: Pick<ListenqlServer, 'metricsUrl'>,
  metric: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<number | undefined> {
  const found = [...((await scrape(server)).get(metric)?.series.values() ?? [])].filter(
    series =>
      /_(bucket|sum)$/.test(series.name.slice(metric.length)) === false &&
      Object.entries(labels).every(([name, value]) => series.labels[name] === value),
  )
  return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0)
}
