import { ListenqlError } from '../lib/errors.js'
import type { Environment } from './environment.js'
import type { Settings } from './settings-interface.js'

/** The database that the server uses. */
export type DatabaseChoice =
  | { readonly kind: 'url'; readonly url: string }
  /** The one that libpq's PG* variables name. */
  | { readonly kind: 'environment' }
  /** The embedded Postgres, with the given data directory or the default one. */
  | { readonly kind: 'embedded'; readonly directory: string | undefined }

/** The variables of libpq that locate a database; PGPASSWORD or PGSSLMODE alone do not. */
export const PLACE_VARIABLES = ['PGHOST', 'PGHOSTADDR', 'PGPORT', 'PGDATABASE', 'PGUSER'] as const

/**
 * In this order: the URL; the embedded Postgres if its directory is given; the database of the PG* variables; the embedded Postgres.
 * @throws ListenqlError BAD_CONFIGURATION if only PGSERVICE is set
 */
export function databaseOf(
  settings: Pick<Settings, 'databaseUrl' | 'dataDir'>,
  env: Environment = process.env,
): DatabaseChoice {
  const { databaseUrl, dataDir } = settings
  if (databaseUrl !== undefined) return { kind: 'url', url: databaseUrl }
  if (dataDir !== undefined) return { kind: 'embedded', directory: dataDir }
  if (env.PGSERVICE) {
    throw new ListenqlError('BAD_CONFIGURATION', 'PGSERVICE is set, but service files are not read', {
      hint: 'set DATABASE_URL, or PGHOST, PGPORT, PGUSER, PGPASSWORD and PGDATABASE, and unset PGSERVICE',
    })
  }
  return PLACE_VARIABLES.some(name => env[name])
    ? { kind: 'environment' }
    : { kind: 'embedded', directory: undefined }
}
