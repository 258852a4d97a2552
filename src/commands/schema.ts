import type { Streams } from './command.js'
import { type Database, withClient } from './connect.js'
import { readTables } from './graphql-fields.js'

/** Prints the SDL of the schema that a server offers for this database. */
export async function schemaCommand(
  { config }: Database,
  { stdout, stderr }: Pick<Streams, 'stdout' | 'stderr'>,
): Promise<number> {
  const tables = await withClient(config, 'schema', readTables)
  const { printSdl } = await import('../../schema/print.js')
  stdout.write(printSdl(tables, warning => stderr.write(`-- ${warning}\n`)))
  return 0
}
