import { ListenqlError } from '../lib/errors.js'
import { compileGlob } from '../lib/glob.js'
import { createNetworks } from '../lib/networks.js'
import { parseClaimPattern } from '../lib/patterns/claim-pattern.js'
import { parseTablePattern } from '../lib/patterns/table-pattern.js'

/** Each throws an Error that begins with "must" if the text is invalid; those with a result return the text in its normal form. */

export function checkGlob(glob: string): void {
  try {
    compileGlob(glob)
  } catch {
    throw new Error(`must hold globs; in '${glob}' a bracket is not closed or holds an impossible range`)
  }
}

/** A glob that may hold `${claims.NAME}`. */
export function checkChannelPattern(pattern: string): void {
  try {
    parseClaimPattern(pattern)
  } catch (error) {
    if (error instanceof ListenqlError && error.hint?.includes('claims'))
      throw new Error(`must hold globs; ${error.message}`)
    throw new Error(`must hold globs; in '${pattern}' a bracket is not closed or holds an impossible range`)
  }
}

/** The name of a table, or a pattern for names. */
export function checkTablePattern(pattern: string): void {
  try {
    parseTablePattern(pattern)
  } catch (error) {
    const reason = error instanceof ListenqlError ? error.message : 'it is malformed'
    throw new Error(`must hold names of tables, or patterns for them; ${reason}`)
  }
}

/** `*`, `null`, or what a browser sends as Origin (https://www.rfc-editor.org/rfc/rfc6454#section-7), with globs. */
export function checkOrigin(origin: string): void {
  checkGlob(origin)
  if (origin === 'null' || origin.startsWith('*')) return
  const withoutSlash = origin.replace(/\/+$/, '')
  const isOrigin = /^[^/\s]+:\/\/[^/\s]+$/
  if (isOrigin.test(origin)) return
  const meant = isOrigin.test(withoutSlash) ? `; did you mean ${withoutSlash}?` : ''
  throw new Error(
    `must hold origins such as https://app.example.com, without path or slash at the end; '${origin}' is not one${meant}`,
  )
}

/** An IP address, or a network such as `10.0.0.0/8`. */
export function checkNetwork(network: string): void {
  createNetworks([network])
}

/** Returns the path with a leading slash and, except for the root, without a trailing one. */
export function basePath(path: string): string {
  if (!/^[\w\-./~%]*$/.test(path)) throw new Error('must be a path such as /events')
  return `/${path.split('/').filter(Boolean).join('/')}`
}

/** An http(s) URL without a trailing slash. */
export function baseUrl(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (!parsed || !/^https?:$/.test(parsed.protocol) || parsed.username || parsed.search || parsed.hash) {
    throw new Error('must be a URL such as https://events.example.com')
  }
  return url.replace(/\/+$/, '')
}

/** An http(s) URL without a login. */
export function httpUrl(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (!parsed || !/^https?:$/.test(parsed.protocol) || parsed.username || parsed.password || parsed.hash) {
    throw new Error('must be a URL such as https://auth.example.com/.well-known/jwks.json')
  }
  return url
}

/** A token of HTTP (https://www.rfc-editor.org/rfc/rfc6265#section-4.1.1). */
export function cookieName(name: string): string {
  if (/^[\w!#$%&'*+\-.^`|~]+$/.test(name)) return name
  throw new Error('must be the name of a cookie, such as session')
}
