import { homedir, userInfo } from 'node:os'
import type pg from 'pg'
import { messageOf } from '../lib/errors.js'
import { refusal, requireHarmless } from './conninfo-refusal.js'
import { sslOptions } from './conninfo-ssl.js'
import { parseKeywordString, parseUrl, STRAY_AT } from './conninfo-syntax.js'

/** Keywords of libpq that are accepted without effect here (or that `pg` handles in its own way). */
const WITHOUT_EFFECT = new Set([
  'client_encoding',
  'gssdelegation',
  'gsslib',
  'keepalives_count',
  'keepalives_interval',
  'krbsrvname',
  'load_balance_hosts',
  'max_protocol_version',
  'min_protocol_version',
  'sslcertmode',
  'sslcompression',
  'sslsni',
  'target_session_attrs',
  'tcp_user_timeout',
  'uselibpqcompat',
])

/** Keyword to environment variable, https://www.postgresql.org/docs/current/libpq-envars.html */
const ENVIRONMENT: Readonly<Record<string, string>> = {
  host: 'PGHOST',
  hostaddr: 'PGHOSTADDR',
  port: 'PGPORT',
  dbname: 'PGDATABASE',
  user: 'PGUSER',
  password: 'PGPASSWORD',
  options: 'PGOPTIONS',
  application_name: 'PGAPPNAME',
  connect_timeout: 'PGCONNECT_TIMEOUT',
  sslmode: 'PGSSLMODE',
  sslrootcert: 'PGSSLROOTCERT',
  sslcert: 'PGSSLCERT',
  sslkey: 'PGSSLKEY',
}

const OTHERS = [
  'fallback_application_name',
  'keepalives',
  'keepalives_idle',
  'gssencmode',
  'channel_binding',
  'sslpassword',
  'sslnegotiation',
  'ssl_max_protocol_version',
  'ssl_min_protocol_version',
]

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Converts a connection string into options for `pg`: a URL (`postgres://` or `postgresql://`), or libpq's
 * keywords and values (`host=localhost dbname=x password='a b'`), as described in
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING. Missing values come from the PG*
 * variables of `env` (default: process.env), then from the defaults: host localhost, port 5432, the system user, and a database
 * with the name of the user. If the string is undefined or blank, all values come from there.
 *
 * `sslmode` has its meaning in libpq: `require` encrypts and verifies nothing (with `sslrootcert`, or a file
 * `~/.postgresql/root.crt`, it is `verify-ca`), `verify-ca` and `verify-full` verify. `no-verify`, from `pg`,
 * encrypts and never verifies anything. `pg` cannot fall back to a connection without encryption, so `allow` and `prefer` (libpq's
 * default) are the same as `disable`.
 * @throws ListenqlError BAD_CONFIGURATION; the error never quotes a password
 */
export function connectionOptions(
  conninfo: string | undefined,
  env: Environment = process.env,
): pg.ClientConfig {
  const text = conninfo?.trim() ?? ''
  const given = text === '' ? new Map<string, string>() : parse(text)
  const isTorn = [...given].some(
    ([keyword, value]) => !/^(user|password)$/.test(keyword) && value.includes('@'),
  )
  for (const keyword of given.keys()) {
    if (keyword in ENVIRONMENT || OTHERS.includes(keyword) || WITHOUT_EFFECT.has(keyword)) continue
    if (isTorn) throw refusal(`the connection string cannot be read: ${STRAY_AT}`, SEE_FORMS)
    throw refusal(`'${keyword}' is not supported in a connection string`, SEE_FORMS)
  }
  const value = (keyword: string): string | undefined => {
    const variable = ENVIRONMENT[keyword]
    return given.get(keyword) || (variable === undefined ? undefined : env[variable]) || undefined
  }
  const name = value('host') ?? 'localhost'
  const address = value('hostaddr')
  const host = address ?? name
  if (host.includes(',')) throw refusal(`several hosts ('${host}') are not supported`, 'name the primary')
  const user = value('user') ?? systemUser()
  const password = value('password')
  const applicationName = value('application_name') ?? value('fallback_application_name')
  const options = value('options')
  const timeout = seconds('connect_timeout', value('connect_timeout'))
  const idle = seconds('keepalives_idle', value('keepalives_idle'))
  const keepalives = value('keepalives')
  const ssl = sslOptions(value, name, env.HOME || home())
  requireHarmless('gssencmode', value('gssencmode'), ['disable', 'allow', 'prefer'])
  requireHarmless('channel_binding', value('channel_binding'), ['disable', 'prefer'])
  return {
    host,
    port: portNumber(value('port') ?? '5432'),
    user,
    database: value('dbname') ?? user,
    ssl: address !== undefined && ssl !== false ? { ...ssl, servername: name } : ssl,
    ...(password !== undefined && { password }),
    ...(applicationName !== undefined && { application_name: applicationName }),
    ...(options !== undefined && { options }),
    // libpq waits for two seconds or more; zero and less mean no limit.
    ...(timeout !== undefined && timeout > 0 && { connectionTimeoutMillis: Math.max(2, timeout) * 1000 }),
    ...(keepalives !== undefined && { keepAlive: keepalives !== '0' }),
    ...(idle !== undefined && idle > 0 && { keepAliveInitialDelayMillis: idle * 1000 }),
  }
}

/** `'user' to 'database' @ 'host:port'`, for the log line "Connected as …". */
export function describeConnection(config: pg.ClientConfig): string {
  const host = config.host?.includes(':') ? `[${config.host}]` : config.host
  return `'${config.user ?? ''}' to '${config.database ?? ''}' @ '${host ?? ''}:${config.port ?? ''}'`
}

/** The text without the passwords in URLs (`postgres://user:***@host`) and in keywords (`password=***`). */
export function hideSecrets(text: string): string {
  return (
    text
      // Up to the last @ of the word, since a password that was not percent-encoded may contain @ and / itself.
      .replace(/(postgres(?:ql)?:\/\/[^:@/\s]*):\S*@/gi, '$1:***@')
      .replace(/\b((?:ssl)?password\s*=\s*)('(?:\\.|[^'\\])*'?|(?:\\.|[^\s&\\])+)/gi, '$1***')
  )
}

const SEE_FORMS = "write postgres://user:password@host:5432/database or 'host=localhost dbname=x user=you'"

function parse(text: string): Map<string, string> {
  try {
    return /^postgres(ql)?:\/\//i.test(text) ? parseUrl(text) : parseKeywordString(text)
  } catch (error) {
    throw refusal(`the connection string cannot be read: ${messageOf(error)}`, SEE_FORMS)
  }
}

function home(): string {
  try {
    return homedir()
  } catch {
    return '/' // a uid without a name, and no variable HOME, as in containers
  }
}

function systemUser(): string {
  try {
    return userInfo().username
  } catch {
    return 'postgres' // a uid without a name, as in containers
  }
}

function portNumber(text: string): number {
  const port = Number(text)
  if (/^\d+$/.test(text) && port > 0 && port < 65_536) return port
  throw refusal(`'${text}' is not a port`, 'ports of Postgres are numbers from 1 to 65535, usually 5432')
}

function seconds(keyword: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (/^-?\d{1,9}$/.test(text)) return Number(text)
  throw refusal(`${keyword} must be a whole number of seconds, not '${text}'`, SEE_FORMS)
}
