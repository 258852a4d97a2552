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
  const tables = await withClient(serverConfig, 'schema', async client => {
    const { isInstalled, mayRead, lacking } = await readAccess(client)
    if (!isInstalled) return []
    if (mayRead) return readCatalog(client)
    throw new ListenqlError('DATABASE_FAILED', lacking?.message ?? 'the watched tables cannot be read', {
      ...(lacking && { hint: lacking.hint }),
    })
  })
  stdout.write(printSdl(tables, warning => stderr.write(`-- ${warning}\n`)))
  return 0
}
