import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ConnectionOptions } from 'node:tls'
import { messageOf } from '../lib/errors.js'
import { refusal, requireHarmless } from './conninfo-refusal.js'

/** `no-verify` comes from `pg`; libpq does not know it. */
const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'no-verify', 'verify-ca', 'verify-full']

/** https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION */
export function sslOptions(
  value: (keyword: string) => string | undefined,
  host: string,
  home: string,
): false | ConnectionOptions {
  const mode = value('sslmode') ?? 'prefer'
  requireHarmless('sslnegotiation', value('sslnegotiation'), ['postgres'])
  if (!SSL_MODES.includes(mode)) {
    throw refusal(
      `sslmode '${mode}' does not exist`,
      'use disable, require (or no-verify), verify-ca or verify-full',
    )
  }
  if (mode === 'disable' || mode === 'allow' || mode === 'prefer' || host.startsWith('/')) return false
  // Files with these names are used if they exist, as in libpq.
  const usual = (name: string) => {
    const path = join(home, '.postgresql', name)
    return existsSync(path) ? path : undefined
  }
  const certificate = value('sslcert') ?? usual('postgresql.crt')
  const key = value('sslkey') ?? (certificate === undefined ? undefined : usual('postgresql.key'))
  const passphrase = value('sslpassword')
  const own: ConnectionOptions = {
    ...(certificate !== undefined && { cert: readCertificate('sslcert', certificate) }),
    ...(key !== undefined && { key: readCertificate('sslkey', key) }),
    ...(passphrase !== undefined && { passphrase }),
    ...protocolVersion('minVersion', 'ssl_min_protocol_version', value),
    ...protocolVersion('maxVersion', 'ssl_max_protocol_version', value),
  }
  const rootCertificate = value('sslrootcert') ?? usual('root.crt')
  if (mode === 'no-verify' || (mode === 'require' && rootCertificate === undefined))
    return { ...own, rejectUnauthorized: false }
  if (rootCertificate === 'system') {
    if (mode === 'verify-full') return { ...own, rejectUnauthorized: true }
    throw refusal(
      'sslrootcert=system needs sslmode=verify-full',
      'a public authority issues certificates for any host: the name must be verified, too',
    )
  }
  const path = rootCertificate ?? join(home, '.postgresql', 'root.crt')
  const verified = { ...own, ca: readCertificate('sslrootcert', path), rejectUnauthorized: true }
  return mode === 'verify-full' ? verified : { ...verified, checkServerIdentity: () => undefined }
}

const PROTOCOLS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const

function protocolVersion(
  option: 'minVersion' | 'maxVersion',
  keyword: string,
  value: (keyword: string) => string | undefined,
): ConnectionOptions {
  const given = value(keyword)
  if (given === undefined) return {}
  const version = PROTOCOLS.find(one => one.toLowerCase() === given.toLowerCase())
  if (version) return { [option]: version }
  throw refusal(`${keyword} '${given}' does not exist`, `use ${PROTOCOLS.join(', ')}`)
}

function readCertificate(keyword: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw refusal(`cannot read ${keyword} ${path}: ${messageOf(error)}`, `set ${keyword} to a PEM file`)
  }
}
