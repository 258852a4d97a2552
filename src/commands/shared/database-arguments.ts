import { databaseOf, type Environment, type Settings } from '../../config/index.js'

/** Which database a command uses. */
export interface DatabaseArguments {
  /** URL, or keywords and values; empty: as PG* variables say. Missing: the embedded Postgres. */
  readonly databaseUrl?: string
  /** Data directory of the embedded Postgres. Default: `.listenql` in the current working directory. */
  readonly dataDirectory?: string
}

/** The settings as arguments of the commands that use the database. @throws ListenqlError BAD_CONFIGURATION */
export function databaseArguments(
  settings: Pick<Settings, 'databaseUrl' | 'dataDir'>,
  env: Environment,
): DatabaseArguments {
  const database = databaseOf(settings, env)
  return {
    ...(database.kind === 'url' && { databaseUrl: database.url }),
    // Empty: as the PG* variables say.
    ...(database.kind === 'environment' && { databaseUrl: '' }),
    ...(database.kind === 'embedded' &&
      database.directory !== undefined && { dataDirectory: database.directory }),
  }
}
