import { databaseOf, type Environment, type Settings } from '../../config/index.js'

/** Which database a command talks to. */
export interface DatabaseArguments {
  /** URL, or keywords and values; empty: what PG* variables say. Missing: the embedded Postgres. */
  readonly databaseUrl?: string
  /** Where the embedded Postgres lives. Default: `.listenql` in the current working directory. */
  readonly dataDirectory?: string
}

/** What the settings mean to the commands that talk to the database. @throws ListenqlError BAD_CONFIGURATION */
export function databaseArguments(
  settings: Pick<Settings, 'databaseUrl' | 'dataDir'>,
  env: Environment,
): DatabaseArguments {
  const database = databaseOf(settings, env)
  return {
    ...(database.kind === 'url' && { databaseUrl: database.url }),
    // An empty one means: what the PG* variables say.
    ...(database.kind === 'environment' && { databaseUrl: '' }),
    ...(database.kind === 'embedded' &&
      database.directory !== undefined && { dataDirectory: database.directory }),
  }
}
