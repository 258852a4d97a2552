import type pg from 'pg'

/*
 * Databases, logins and the files of a server have settings that change what our statements mean or whether they run at all. All
 * that we rely on is named here: for images, for sessions, and for transactions.
 */

/**
 * Settings that decide how a value is written, as the trigger functions pin them (sql/migrations/0004_capture.sql): under
 * them, and only then, a row that is read is the text that the event log has of it. They hold until the transaction ends.
 */
const PINNED = {
  search_path: 'pg_catalog, pg_temp',
  timezone: 'UTC',
  datestyle: 'ISO, YMD',
  intervalstyle: 'iso_8601',
  extra_float_digits: '1',
  bytea_output: 'hex',
}

export const PIN_SETTINGS = [
  ...Object.entries(PINNED).map(([name, value]) =>
    name === 'search_path' ? `${name} = ${value}` : `${name} = '${value}'`,
  ),
  `lc_monetary = 'C'`,
  'quote_all_identifiers = off',
  'jit = off',
]
  .map(setting => `set local ${setting}`)
  .join('; ')

/** Takes them back to what the session has, but for those that policies have no use for. */
export const UNPIN_SETTINGS = Object.keys(PINNED)
  .map(name => `set local ${name} = default`)
  .join('; ')

/** Columns that pin them again, for a statement that computes something under other settings before. */
export const PIN_COLUMNS = Object.entries(PINNED)
  .map(([name, value]) => `pg_catalog.set_config('${name}', '${value}', true)`)
  .join(', ')

/** What lets single statements run, and transactions wait, as long as we see fit; and rows come as the policies say. */
const PATIENT = {
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  row_security: 'on',
} as const

/** For a transaction that has a statement_timeout of its own. */
export const PIN_PATIENCE = Object.entries(PATIENT)
  .filter(([name]) => name !== 'statement_timeout')
  .map(([name, value]) => `set local ${name} = ${value}`)
  .join('; ')

/** Sessions run single statements in READ COMMITTED and may write. */
const SESSION = {
  ...PATIENT,
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
  default_transaction_deferrable: 'off',
} as const

/** Of sessions that run nothing but our own SQL: what others have called like something of Postgres is not found. */
const OWN_SESSION = {
  ...SESSION,
  search_path: 'pg_catalog, pg_temp',
  datestyle: 'ISO, YMD',
  'plpgsql.extra_errors': 'none',
  'plpgsql.extra_warnings': 'none',
} as const

/**
 * A session with these settings, whatever the defaults of login and database are: what the client asks for when it connects goes
 * before them (https://www.postgresql.org/docs/current/config-setting.html). Poolers do not pass it on.
 * @param options.runs `ours`: nothing but SQL of ours; `policies`: those of viewers as well, which have settings of their own
 */
export function pinSession(
  config: pg.ClientConfig,
  { runs }: { runs: 'ours' | 'policies' },
): pg.ClientConfig {
  const pins = Object.entries(runs === 'ours' ? OWN_SESSION : SESSION)
    .map(([name, value]) => `-c ${name}=${value.replaceAll(' ', '\\ ')}`)
    .join(' ')
  return { ...config, options: [config.options, pins].filter(Boolean).join(' ') }
}

/** Of transactions: new tables and functions as we know them, and strings in SQL as the standard has them. */
const TRANSACTION = {
  ...PATIENT,
  datestyle: 'ISO, YMD',
  default_tablespace: '',
  default_table_access_method: 'heap',
  standard_conforming_strings: 'on',
  quote_all_identifiers: 'off',
  'plpgsql.extra_errors': 'none',
  'plpgsql.extra_warnings': 'none',
} as const

/**
 * Statements that pin what our transactions rely on, until they end: good through any pooler. The search_path is that of the
 * login, so that names which a person has given are found, but system names come first. From 17 on a transaction may have a
 * time limit, too.
 */
export const PIN_TRANSACTION = [
  ...Object.entries(TRANSACTION).map(([name, value]) => `set local ${name} = '${value}'`),
  `select pg_catalog.set_config('search_path', pg_catalog.concat_ws(', ', 'pg_catalog',
     case pg_catalog.current_setting('search_path') when '' then null else pg_catalog.current_setting('search_path') end), true)`,
  `select pg_catalog.set_config(s.name, '0', true) from pg_catalog.pg_settings s where s.name = 'transaction_timeout'`,
].join('; ')
