import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { lexicographicSortSchema, printSchema } from 'graphql'
import type { WatchedTable } from '../src/catalog/watched-table.js'
import { DEMO_TABLES } from './demo-tables.js'
import { buildSchema } from './index.js'

/**
 * The schema in SDL, sorted, so that the text changes only when the schema does. Ends with a line break.
 * @param tables in any order. Default: none
 * @param onWarning gets a line for each renamed table, column, enum or label
 */
export function printSdl(
  tables: readonly WatchedTable[] = [],
  onWarning: (message: string) => void = () => {},
): string {
  return `${printSchema(lexicographicSortSchema(buildSchema({ tables, onWarning })))}\n`
}

// `npm run schema` runs this file, for the demo's tables; modules that import it need only the function.
if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  process.stdout.write(printSdl(DEMO_TABLES))
}
