import type { IncomingMessage } from 'node:http'
import { compileGlob, type Glob } from '../../lib/glob.js'

export interface OriginOptions {
  /** Origins that may use this server from a browser, as globs such as `https://*.example.com`; `*` is any. */
  readonly allowed: readonly string[]
  /** Bound to loopback addresses only. */
  readonly loopback: boolean
  /** The URL under which clients reach the server through a proxy, which may send another Host: its origin is our own. */
  readonly urlBase?: string | undefined
}

/** Which pages may talk to us (https://www.rfc-editor.org/rfc/rfc6454), and under which names we answer. */
export interface Origins {
  /** True for the Host headers we answer to. */
  isHostAllowed(request: IncomingMessage): boolean
  /** True for requests without an Origin (not from a browser's script), from our own pages, and from allowed ones. */
  isOriginAllowed(request: IncomingMessage): boolean
  /**
   * True for requests of which the browser says that they come from our own pages or from allowed ones: then the cookies that
   * it sends along are meant. A list that allows any origin, or any of a kind, says nothing about whom to trust.
   */
  isOriginTrusted(request: IncomingMessage): boolean
}

export const LOOPBACK_NAMES: readonly string[] = ['localhost', '127.0.0.1', '[::1]']

/** Origins that any page can have, in a sandboxed frame. */
const NOWHERE: ReadonlySet<string> = new Set(['null', 'file://'])

export function createOrigins({ allowed, loopback, urlBase = '' }: OriginOptions): Origins {
  const own = parse(urlBase)
  const names = new Set([...LOOPBACK_NAMES, ...(own ? [own.hostname] : [])])
  const particular = createOriginCheck(
    allowed.filter(isByName).map(compileGlob),
    own?.origin,
    false, // whatever else is served from this machine may use the server, but not with the cookies of our own page
  )
  return {
    isOriginTrusted(request) {
      const { origin, 'sec-fetch-site': site } = request.headers
      if (origin === undefined) return site === 'same-origin'
      return !NOWHERE.has(origin) && particular(request)
    },
    isOriginAllowed: createOriginCheck(allowed.map(compileGlob), own?.origin, loopback),
    // A page anywhere can have its own name resolve to 127.0.0.1 (DNS rebinding); only the Host header tells.
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
    // `null` is a file, but also a sandboxed frame in any page: only if listed. WebSockets of Chromium call a file `file://`.
    if (origin === 'file://') return patterns.some(pattern => pattern.test('null'))
    const page = parse(origin)
    if (!page || !/^https?:$/.test(page.protocol)) return false
    if (page.host === parse(`${page.protocol}//${host}`)?.host) return true
    return loopback && LOOPBACK_NAMES.includes(page.hostname)
  }
}

/** Whether a glob names whom it means: the last two labels of the host are spelled out, or the only one, as in `https://*.example.com`. */
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

/** As browsers send it: no path in it that a glob could run over, such as `https://evil.com/.example.com`. */
function isOrigin(origin: string): boolean {
  if (origin.length > MAX_ORIGIN_CHARACTERS) return false
  return (
    origin === 'null' ||
    origin === 'file://' ||
    (/^[^:/]+:\/\/[^/\\?#@\s]+$/.test(origin) && URL.canParse(origin))
  )
}

/** Characters: a host name has 253 at most, and scheme and port are short. */
const MAX_ORIGIN_CHARACTERS = 512

function parse(url: string): URL | undefined {
  return URL.canParse(url) ? new URL(url) : undefined
}
