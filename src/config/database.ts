import { ListenqlError } from '../lib/errors.js'
import type { Environment } from './environment.js'
import type { Settings } from './settings-interface.js'

/** Which database is served. */
export type DatabaseChoice =
  | { readonly kind: 'url'; readonly url: string }
  /** The one that libpq's PG* variables name. */
  | { readonly kind: 'environment' }
  /** A Postgres of its own, in a directory or the default one. */
  | { readonly kind: 'embedded'; readonly directory: string | undefined }

/** The variables of libpq that say where a database is; PGPASSWORD or PGSSLMODE alone do not. */
export const PLACE_VARIABLES = ['PGHOST', 'PGHOSTADDR', 'PGPORT', 'PGDATABASE', 'PGUSER'] as const

/**
 * A URL if there is one; else a Postgres of its own if a directory for it was given; else what PG* say; else a Postgres of its own.
 * @throws ListenqlError BAD_CONFIGURATION if PGSERVICE is all there is to go by
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
