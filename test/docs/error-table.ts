import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

// Makes the tables of errors in docs/graphql.md out of src/lib/error-codes.ts: `npm run docs`.

const ROOT = resolve(import.meta.dirname, '../..')
const SOURCE = join(ROOT, 'src/lib/error-codes.ts')
const TARGET = join(ROOT, 'docs/graphql.md')

export interface ErrorEntry {
  readonly code: string
  readonly place: string
  readonly when: string
  readonly client: string
}

/** The codes of one interface of the source, with their docstrings. */
export function errorEntries(name: 'ErrorCodes' | 'RequestErrorCodes'): ErrorEntry[] {
  const text = readFileSync(SOURCE, 'utf8')
  const body = text.slice(text.indexOf(`export interface ${name} {`)).split('\n}')[0] as string
  return [...body.matchAll(/\/\*\*(.*?)\*\/\s*readonly (\w+): '(\w+)'/gs)].map(([, comment, code, place]) => {
    const lines = (comment as string).replaceAll(/^\s*\* ?/gm, '').trim()
    const [when = '', client = ''] = lines.split('@client').map(part => part.replaceAll(/\s+/g, ' ').trim())
    return { code: code as string, place: place as string, when, client }
  })
}

function table(entries: readonly ErrorEntry[]): string {
  const rows = entries.map(({ code, when, client }) => `| \`${code}\` | ${when} | ${client} |`)
  return ['| code | when | what the client does |', '|---|---|---|', ...rows].join('\n')
}

/** docs/graphql.md as it is, and as it is to be. */
export function errorTables(): { readonly present: string; readonly fresh: string } {
  const present = readFileSync(TARGET, 'utf8')
  let fresh = present
  for (const name of ['ErrorCodes', 'RequestErrorCodes'] as const) {
    const entries = errorEntries(name).filter(({ place }) => place === 'client')
    const region = new RegExp(`(<!-- ${name}: made by npm run docs -->\n\n).*?(\n\n<!-- end -->)`, 's')
    if (!region.test(fresh)) throw new Error(`docs/graphql.md has no place for ${name}`)
    fresh = fresh.replace(region, (_, begin: string, end: string) => begin + table(entries) + end)
  }
  return { present, fresh }
}

if (import.meta.filename === process.argv[1]) writeFileSync(TARGET, errorTables().fresh)
