import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { OPTION_LIST } from '../../src/config/index.js'

// Makes the types of `options` in the schema of the Helm chart's values out of src/config/options: `npm run docs`.

const TARGET = join(resolve(import.meta.dirname, '../..'), 'deploy/helm/listenql/values.schema.json')

/** Flags that other values of the chart set, that belong to HTTPS, or that belong to the embedded Postgres, which the image lacks. */
const LEFT_OUT = [
  'data-dir',
  'drain',
  'host',
  'https-port',
  'metrics-port',
  'port',
  'shutdown-timeout',
  'tls-cert',
  'tls-key',
]

function typeOf({ type: { kind, placeholder } }: (typeof OPTION_LIST)[number]): Record<string, unknown> {
  if (kind === 'boolean') return { type: 'boolean' }
  if (kind !== 'scalar') return { $ref: `#/definitions/${kind}` }
  if (placeholder === 'NUMBER') return { type: 'integer', minimum: 0 }
  if (placeholder === 'BYTES') return { $ref: '#/definitions/size' }
  return /^[a-z]+(\|[a-z]+)+$/.test(placeholder) ? { enum: placeholder.split('|') } : { type: 'string' }
}

/** Names and types of the options that the chart accepts. Secret ones belong into the file. */
export function chartOptions(): Record<string, unknown> {
  const missing = LEFT_OUT.filter(flag => !OPTION_LIST.some(option => option.flag === flag))
  if (missing.length > 0) throw new Error(`there is no option ${missing.join(', ')}`)
  const accepted = OPTION_LIST.filter(({ flag, secret }) => !secret && !LEFT_OUT.includes(flag))
  return Object.fromEntries(
    accepted.map(option => [option.flag, { description: option.help, ...typeOf(option) }]),
  )
}

/** values.schema.json as it is, and as it is to be. */
export function chartSchema(): { readonly present: string; readonly fresh: string } {
  const present = readFileSync(TARGET, 'utf8')
  const schema = JSON.parse(present)
  schema.properties.options.properties = chartOptions()
  // As Biome formats it: lists of texts on one line.
  const fresh = JSON.stringify(schema, undefined, 2).replace(
    /\[\s+("[^[\]{}]*?")\s+\]/g,
    (_, items: string) => `[${items.replace(/,\s+/g, ', ')}]`,
  )
  return { present, fresh: `${fresh}\n` }
}

if (import.meta.filename === process.argv[1]) writeFileSync(TARGET, chartSchema().fresh)
