/**
 * What `alter role … set`, `alter database … set` and `alter role … in database … set` give a role. Postgres applies them
 * when a role logs in and not with SET ROLE (https://www.postgresql.org/docs/current/sql-alterrole.html), so the server applies
 * them after SET ROLE, as PostgREST does.
 */
export interface RoleSetting {
  readonly name: string
  /** As `set_config` expects it. */
  readonly value: string
}

/**
 * SQL that returns them as a JSON array of `name=value`, the less specific ones first, since the last one wins.
 * @param role SQL of type oid
 */
export function roleSettingsSql(role: string): string {
  const database = `(select b.oid from pg_catalog.pg_database b where b.datname = pg_catalog.current_database())`
  return `coalesce((select pg_catalog.json_agg(s.setting order by v.rank, s.i)
    from (values (0::pg_catalog.oid, 0::pg_catalog.oid, 1), (0, ${database}, 2), (${role}, 0, 3), (${role}, ${database}, 4)) v(role, db, rank)
    join pg_catalog.pg_db_role_setting d on d.setdatabase = v.db and d.setrole = v.role
    cross join pg_catalog.unnest(d.setconfig) with ordinality s(setting, i)), '[]')`
}

/**
 * Which of these settings ($1, text[]) a session without superuser rights may change. It may change those that Postgres does
 * not know (`app.x`).
 */
export const CHANGEABLE = `
select n as "name", coalesce(s.context = 'user', pg_catalog.strpos(n, '.') > 0) as "changeable"
from pg_catalog.unnest($1::pg_catalog.text[]) n left join pg_catalog.pg_settings s on pg_catalog.lower(s.name) = pg_catalog.lower(n)`

/**
 * Settings that the server sets itself: properties and limits of the transaction, how SQL is parsed, and how images are read
 * (lc_monetary is that of locale C). In lower case.
 */
const OURS: ReadonlySet<string> = new Set([
  'array_nulls',
  'backslash_quote',
  'client_encoding',
  'client_min_messages',
  'default_transaction_deferrable',
  'default_transaction_isolation',
  'default_transaction_read_only',
  'escape_string_warning',
  'idle_in_transaction_session_timeout',
  'idle_session_timeout',
  'jit',
  'lc_monetary',
  'lock_timeout',
  'plan_cache_mode',
  'quote_all_identifiers',
  'request.jwt.claims',
  'role',
  'row_security',
  'session_authorization',
  'standard_conforming_strings',
  'statement_timeout',
  'transaction_deferrable',
  'transaction_isolation',
  'transaction_read_only',
  'transaction_timeout',
  'transform_null_equals',
  'xmloption',
])

/** The settings that apply, each once. @param settings as `roleSettingsSql` returns them */
export function effectiveSettings(settings: readonly string[]): readonly RoleSetting[] {
  const all = new Map<string, RoleSetting>()
  for (const setting of settings) {
    const at = setting.indexOf('=')
    const name = setting.slice(0, at)
    const key = name.toLowerCase()
    if (!OURS.has(key) && !key.startsWith('listenql.')) all.set(key, { name, value: setting.slice(at + 1) })
  }
  return [...all.values()]
}
