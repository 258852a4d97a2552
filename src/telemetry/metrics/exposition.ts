import type { Histogram } from '../../lib/telemetry/histogram.js'
import type { Family, LabelValues } from './metrics.js'

/** The two text formats that Prometheus reads. */
export type ExpositionFormat = 'prometheus' | 'openmetrics'

export const CONTENT_TYPES: Readonly<Record<ExpositionFormat, string>> = {
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
}

/**
 * Writes metrics as text: https://prometheus.io/docs/instrumenting/exposition_formats/ or
 * https://prometheus.io/docs/specs/om/open_metrics_spec/. Metrics without a sample are left out.
 */
export function expose(families: readonly Family[], format: ExpositionFormat): string {
  const isOpen = format === 'openmetrics'
  let text = ''
  for (const family of families) {
    const { name, type, help, labels, samples } = family
    if (samples.length === 0) continue
    // In OpenMetrics, the family of a counter has the name without the suffix of its samples.
    const title = isOpen && type === 'counter' ? name.replace(/_total$/, '') : name
    const names = Object.keys(labels)
    text += `# HELP ${title} ${escapeHelp(help, isOpen)}.\n# TYPE ${title} ${type}\n`
    const unit = isOpen ? /_(seconds|bytes)$/.exec(title)?.[1] : undefined
    if (unit !== undefined) text += `# UNIT ${title} ${unit}\n`
    for (const sample of samples) {
      const pairs = sample.labels.map((value, i) => [names[i] as string, value] as const)
      text +=
        typeof sample.value === 'number'
          ? `${name}${labelsText(pairs)} ${numberText(sample.value)}\n`
          : histogramText(name, pairs, sample.value, isOpen)
    }
  }
  return isOpen ? `${text}# EOF\n` : text
}

type Pair = readonly [name: string, value: LabelValues[number]]

function histogramText(
  name: string,
  pairs: readonly Pair[],
  { bounds, counts, sum, count }: Histogram,
  isOpen: boolean,
): string {
  let text = ''
  let below = 0
  for (const [i, inRange] of counts.entries()) {
    below += inRange
    const bound = bounds[i]
    // The canonical numbers of OpenMetrics: whole ones have a fraction, too.
    const le =
      bound === undefined ? '+Inf' : isOpen && Number.isInteger(bound) ? bound.toFixed(1) : String(bound)
    text += `${name}_bucket${labelsText([...pairs, ['le', le]])} ${below}\n`
  }
  return `${text}${name}_sum${labelsText(pairs)} ${numberText(sum)}\n${name}_count${labelsText(pairs)} ${count}\n`
}

function labelsText(pairs: readonly Pair[]): string {
  if (pairs.length === 0) return ''
  return `{${pairs.map(([name, value]) => `${name}="${escapeValue(value)}"`).join(',')}}`
}

function escapeValue(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}

function escapeHelp(help: string, isOpen: boolean): string {
  const escaped = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
  return isOpen ? escaped.replaceAll('"', '\\"') : escaped
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  if (value === Number.NEGATIVE_INFINITY) return '-Inf'
  return Number.isNaN(value) ? 'NaN' : String(value)
}
