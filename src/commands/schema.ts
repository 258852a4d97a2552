import { printSdl } from '../../schema/print.js'
import { readCatalog } from '../catalog/catalog.js'
import { readAccess } from '../catalog/catalog-access.js'
import { ListenqlError } from '../lib/errors.js'
import type { Streams } from './shared/command.js'
import { type Database, withClient } from './shared/connect.js'

/**
 * Prints the SDL of the schema that a server offers for this database.
 * @throws ListenqlError DATABASE_FAILED if the server's login may not read which tables are watched
 */
export async function schemaCommand(
  { serverConfig }: Pick<Database, 'serverConfig'>,
  { stdout, stderr }: Pick<Streams, 'stdout' | 'stderr'>,
): Promise<number> {
  stdout.write(await readSdl({ serverConfig }, warning => stderr.write(`-- ${warning}\n`)))
  return 0
}

/**
 * Reads the tables of a database, and returns the SDL of their schema.
 * @param onWarning gets a line for each name that is impossible or already used in GraphQL
 * @throws ListenqlError DATABASE_FAILED if the server's login may not read which tables are watched
 */
export async function readSdl(
  { serverConfig }: Pick<Database, 'serverConfig'>,
  onWarning: (message: string) => void,
): Promise<string> {
  const tables = await withClient(serverConfig, 'schema', async client => {
    const { isInstalled, mayRead, lacking } = await readAccess(client)
    if (!isInstalled) return []
    if (mayRead) return readCatalog(client)
    throw new ListenqlError('DATABASE_FAILED', lacking?.message ?? 'the watched tables cannot be read', {
      ...(lacking && { hint: lacking.hint }),
    })
  })
  return printSdl(tables, onWarning)
}
