/**
 * Settings that decide how a value is written, as the trigger functions pin them (sql/migrations/0004_capture.sql): under
 * them, and only then, a row that is read is the text that the event log has of it. They hold until the transaction ends.
 */
export const PIN_SETTINGS = [
  'search_path = pg_catalog, pg_temp',
  `timezone = 'UTC'`,
  `datestyle = 'ISO, YMD'`,
  `intervalstyle = 'iso_8601'`,
  'extra_float_digits = 1',
  `bytea_output = 'hex'`,
  `lc_monetary = 'C'`,
  'quote_all_identifiers = off',
  'jit = off',
]
  .map(setting => `set local ${setting}`)
  .join('; ')
