import type pg from 'pg'

/*
 * Databases, logins and configuration files have settings that change the meaning of our statements, or prevent them from running.
 * All settings that the server relies on are here: for images, for sessions, and for transactions.
 */

/**
 * Settings that decide how values are written, the same as in the trigger functions (sql/migrations/0004_capture.sql): only with
 * them is a row that is read the same text as in the event log. They last until the transaction ends.
 */
const PINNED = {
  search_path: 'pg_catalog, pg_temp',
  timezone: 'UTC',
  datestyle: 'ISO, YMD',
  intervalstyle: 'iso_8601',
  extra_float_digits: '1',
  bytea_output: 'hex',
}

/**
 * Allows views until the transaction ends: a setting may forbid those that are not of the system, and `listenql.watched` is a view.
 * Postgres has it from 17, and from minor releases of August 2024; where it is missing, setting it would be an error. As a SELECT it
 * takes the snapshot of a transaction that has none: it must not come before a snapshot that is to be as new as possible.
 */
export const PIN_VIEWS = `select pg_catalog.set_config('restrict_nonsystem_relation_kind', '', true)
  where pg_catalog.current_setting('restrict_nonsystem_relation_kind', true) <> ''`

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

/** Restores the session's settings, except those that policies do not need. */
export const UNPIN_SETTINGS = Object.keys(PINNED)
  .map(name => `set local ${name} = default`)
  .join('; ')

/** Columns that pin them again, for a statement that first computes something under other settings. */
export const PIN_COLUMNS = Object.entries(PINNED)
  .map(([name, value]) => `pg_catalog.set_config('${name}', '${value}', true)`)
  .join(', ')

/** Settings that remove time limits from statements, locks and idle transactions, and make policies apply to rows. */
const PATIENT = {
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  row_security: 'on',
} as const

/** For a transaction with a statement_timeout of its own. */
export const PIN_PATIENCE = Object.entries(PATIENT)
  .filter(([name]) => name !== 'statement_timeout')
  .map(([name, value]) => `set local ${name} = ${value}`)
  .join('; ')

/** For sessions that run single statements in READ COMMITTED and may write. */
const SESSION = {
  ...PATIENT,
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
  default_transaction_deferrable: 'off',
} as const

/**
 * For sessions that run only the server's own SQL: objects of users with the names of system objects are not found, and nothing is
 * compiled: our functions ask small questions of catalogues whose sizes Postgres overestimates. With `jit`, the default where Postgres
 * is built with LLVM, `select * from listenql.refresh()` of three tables took 450 ms, without it 7 ms (Debian's 15.20, psql's \timing).
 */
const OWN_SESSION = {
  ...SESSION,
  search_path: 'pg_catalog, pg_temp',
  datestyle: 'ISO, YMD',
  jit: 'off',
  'plpgsql.extra_errors': 'none',
  'plpgsql.extra_warnings': 'none',
} as const

/**
 * Options for a session with these settings, whatever the defaults of login and database are: settings that the client requests when
 * it connects take precedence (https://www.postgresql.org/docs/current/config-setting.html). Poolers do not pass them on.
 * @param options.runs `ours`: only the server's own SQL; `policies`: also those of viewers, with settings of their own
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

/** For transactions: defaults for new tables and functions, and standard strings in SQL. */
const TRANSACTION = {
  ...PATIENT,
  datestyle: 'ISO, YMD',
  jit: 'off',
  default_tablespace: '',
  default_table_access_method: 'heap',
  standard_conforming_strings: 'on',
  quote_all_identifiers: 'off',
  'plpgsql.extra_errors': 'none',
  'plpgsql.extra_warnings': 'none',
} as const

/**
 * Statements that pin the settings that transactions rely on, until they end: they work through any pooler. The search_path is that
 * of the login, so that names given by a user are found, but system names come first. From PostgreSQL 17 on a transaction may
 * have a time limit, too.
 */
export const PIN_TRANSACTION = [
  ...Object.entries(TRANSACTION).map(([name, value]) => `set local ${name} = '${value}'`),
  `select pg_catalog.set_config('search_path', pg_catalog.concat_ws(', ', 'pg_catalog',
     case pg_catalog.current_setting('search_path') when '' then null else pg_catalog.current_setting('search_path') end), true)`,
  // The view pg_settings would take ten times as long as all other settings together.
  `select pg_catalog.set_config('transaction_timeout', '0', true)
     where pg_catalog.current_setting('transaction_timeout', true) <> '0'`,
  PIN_VIEWS,
].join('; ')
