import type pg from 'pg'

/**
 * Sessions that run single statements in READ COMMITTED and may write, whatever the defaults of the login or the database are:
 * what the client asks for when it connects goes before them (https://www.postgresql.org/docs/current/config-setting.html).
 * Poolers do not pass it on.
 */
export function withSessionDefaults(config: pg.ClientConfig): pg.ClientConfig {
  const defaults = '-c default_transaction_isolation=read\\ committed -c default_transaction_read_only=off'
  return { ...config, options: [config.options, defaults].filter(Boolean).join(' ') }
}
