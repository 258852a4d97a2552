import type { IncomingMessage } from 'node:http'
import { compileGlob, type Glob } from '../../lib/glob.js'

export interface OriginOptions {
  /** Origins that may use this server from a browser, as globs such as `https://*.example.com`; `*` is any. */
  readonly allowed: readonly string[]
  /** The server is bound to loopback addresses only. */
  readonly loopback: boolean
  /**
   * The URL under which clients reach the server through a proxy, which may send another Host. Pages of its origin are the
   * server's own.
   */
  readonly urlBase?: string | undefined
}

/** Which pages may use the server (https://www.rfc-editor.org/rfc/rfc6454), and to which host names it answers. */
export interface Origins {
  /** True for the Host headers that the server answers to. */
  isHostAllowed(request: IncomingMessage): boolean
  /** True for requests without an Origin (not from a browser's script), from the server's own pages, and from allowed ones. */
  isOriginAllowed(request: IncomingMessage): boolean
  /**
   * True for requests that, by their headers, come from the server's own pages or from allowed origins that are named: their
   * cookies count. A pattern that allows any origin, or any of a kind, does not name an origin to trust.
   */
  isOriginTrusted(request: IncomingMessage): boolean
}

export const LOOPBACK_NAMES: readonly string[] = ['localhost', '127.0.0.1', '[::1]']

/** Origins of sandboxed frames and files: any page can have them. */
const NOWHERE: ReadonlySet<string> = new Set(['null', 'file://'])

export function createOrigins({ allowed, loopback, urlBase = '' }: OriginOptions): Origins {
  const own = parse(urlBase)
  const names = new Set([...LOOPBACK_NAMES, ...(own ? [own.hostname] : [])])
  const particular = createOriginCheck(
    allowed.filter(isByName).map(compileGlob),
    own?.origin,
    false, // other servers on this machine may use this one, but not with the cookies of its own page
  )
  return {
    isOriginTrusted(request) {
      const { origin, 'sec-fetch-site': site } = request.headers
      if (origin === undefined) return site === 'same-origin'
      return !NOWHERE.has(origin) && particular(request)
    },
    isOriginAllowed: createOriginCheck(allowed.map(compileGlob), own?.origin, loopback),
    // Any page can make its own name resolve to 127.0.0.1 (DNS rebinding); only the Host header shows it.
    isHostAllowed: request => !loopback || names.has(parse(`http://${request.headers.host}`)?.hostname ?? ''),
  }
}

function createOriginCheck(
  patterns: readonly Glob[],
  own: string | undefined,
  loopback: boolean,
): (request: IncomingMessage) => boolean {
  return ({ headers: { origin, host } }) => {
    if (origin === undefined || origin === own) return true
    if (!isOrigin(origin)) return false
    if (patterns.some(pattern => pattern.test(origin))) return true
    // `null` is a file, but also a sandboxed frame in any page: allowed only if listed. WebSockets of Chromium send `file://` for a file.
    if (origin === 'file://') return patterns.some(pattern => pattern.test('null'))
    const page = parse(origin)
    if (!page || !/^https?:$/.test(page.protocol)) return false
    if (page.host === parse(`${page.protocol}//${host}`)?.host) return true
    return loopback && LOOPBACK_NAMES.includes(page.hostname)
  }
}

/** Whether a glob names an origin: it spells out the last two labels of the host, or the only one, as in `https://*.example.com`. */
function isByName(glob: string): boolean {
  const braces = /(?<!\\)\{([^{}]*)\}/.exec(glob)
  if (braces) {
    const [all, list = ''] = braces
    return list
      .split(',')
      .every(one => isByName(glob.slice(0, braces.index) + one + glob.slice(braces.index + all.length)))
  }
  const host = /^(?:[^/]*:\/\/)?((?:\\.|[^:/\\])*)/s.exec(glob.replace(/\\\[[^\]]*\\\]/, 'ip6'))?.[1] ?? ''
  return host
    .split('.')
    .slice(-2)
    .every(label => /^(?:\\.|[^\\*?[\]{}])+$/s.test(label))
}

/** In the form that browsers send, without a path that a glob could match across, such as `https://evil.com/.example.com`. */
function isOrigin(origin: string): boolean {
  if (origin.length > MAX_ORIGIN_CHARACTERS) return false
  return (
    origin === 'null' ||
    origin === 'file://' ||
    (/^[^:/]+:\/\/[^/\\?#@\s]+$/.test(origin) && URL.canParse(origin))
  )
}

/** Characters: a host name has at most 253, and scheme and port are short. */
const MAX_ORIGIN_CHARACTERS = 512

function parse(url: string): URL | undefined {
  return URL.canParse(url) ? new URL(url) : undefined
}
