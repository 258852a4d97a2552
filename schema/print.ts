import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { lexicographicSortSchema, printSchema } from 'graphql'
import { buildSchema } from './index.js'

/** The schema in GraphQL's own language, sorted, so that it changes only when the schema does. Ends with a line break. */
export function printSdl(): string {
  return `${printSchema(lexicographicSortSchema(buildSchema()))}\n`
}

// `npm run schema` runs this file; whoever imports it wants the function alone.
if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  process.stdout.write(printSdl())
}
