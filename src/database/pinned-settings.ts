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
