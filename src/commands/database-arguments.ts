import { databaseOf, type Environment, type Settings } from '../config/index.js'
import type { SqlArguments } from './sql.js'

/** What the settings mean to `listenql sql`. @throws ListenqlError BAD_CONFIGURATION */
export function sqlArguments(
  settings: Settings,
  statement: string | undefined,
  env: Environment,
): SqlArguments {
  const database = databaseOf(settings, env)
  return {
    ...(statement !== undefined && { statement }),
    ...(database.kind === 'url' && { databaseUrl: database.url }),
    // An empty one means: what the PG* variables say.
    ...(database.kind === 'environment' && { databaseUrl: '' }),
    ...(database.kind === 'embedded' &&
      database.directory !== undefined && { dataDirectory: database.directory }),
  }
}
