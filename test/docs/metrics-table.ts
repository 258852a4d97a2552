import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { CLIENT_METRICS } from '../../src/telemetry/metrics/client-metrics.js'
import { DATABASE_METRICS } from '../../src/telemetry/metrics/database-metrics.js'
import type { Metric } from '../../src/telemetry/metrics/metric.js'
import { PROCESS_METRICS } from '../../src/telemetry/metrics/process-metrics.js'

// Makes the tables of metrics in docs/operations.md out of the definitions in src/telemetry/metrics: `npm run docs`.

const TARGET = join(resolve(import.meta.dirname, '../..'), 'docs/operations.md')

const TABLES = { CLIENT_METRICS, DATABASE_METRICS, PROCESS_METRICS }

function table(metrics: Readonly<Record<string, Metric>>): string {
  const rows = Object.entries(metrics).map(([name, { type, help, labels }]) => {
    const named = Object.entries(labels).map(([label, values]) => `\`${label}\`: ${values}`)
    return `| \`${name}\` | ${type} | ${[help, ...named].join('; ')} |`
  })
  return ['| metric | type | what |', '|---|---|---|', ...rows].join('\n')
}

/** docs/operations.md as it is, and as it is to be. */
export function metricsTables(): { readonly present: string; readonly fresh: string } {
  const present = readFileSync(TARGET, 'utf8')
  let fresh = present
  for (const [name, metrics] of Object.entries(TABLES)) {
    const region = new RegExp(`(<!-- ${name}: made by npm run docs -->\n\n).*?(\n\n<!-- end -->)`, 's')
    if (!region.test(fresh)) throw new Error(`docs/operations.md has no place for ${name}`)
    fresh = fresh.replace(region, (_, begin: string, end: string) => begin + table(metrics) + end)
  }
  return { present, fresh }
}

if (import.meta.filename === process.argv[1]) writeFileSync(TARGET, metricsTables().fresh)
