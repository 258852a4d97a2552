import type { IncomingMessage } from 'node:http'
import { compileGlob } from '../lib/glob.js'

export interface OriginOptions {
  /** Origins that may use this server from a browser, as globs such as `https://*.example.com`; `*` is any. */
  readonly allowed: readonly string[]
  /** Bound to loopback addresses only. */
  readonly loopback: boolean
  /** Host names that this server is known by beside the loopback ones, such as that of `--url-base`. */
  readonly hostNames: readonly string[]
}

/** Which pages may talk to us (https://www.rfc-editor.org/rfc/rfc6454), and under which names we answer. */
export interface Origins {
  /** True for the Host headers we answer to. */
  isHostAllowed(request: IncomingMessage): boolean
  /** True for requests without an Origin (not from a browser's script), from our own pages, and from allowed ones. */
  isOriginAllowed(request: IncomingMessage): boolean
}

export const LOOPBACK_NAMES: readonly string[] = ['localhost', '127.0.0.1', '[::1]']

export function createOrigins({ allowed, loopback, hostNames }: OriginOptions): Origins {
  const patterns = allowed.map(compileGlob)
  const names = new Set([...LOOPBACK_NAMES, ...hostNames])
  return {
    // A page anywhere can have its own name resolve to 127.0.0.1 (DNS rebinding); only the Host header tells.
    isHostAllowed: request => !loopback || names.has(parse(`http://${request.headers.host}`)?.hostname ?? ''),
    isOriginAllowed(request) {
      const { origin, host } = request.headers
      if (origin === undefined) return true
      if (!isOrigin(origin)) return false
      if (patterns.some(pattern => pattern.test(origin))) return true
      // `null` is a file, but also a sandboxed frame in any page: only if listed. WebSockets of Chromium call a file `file://`.
      if (origin === 'file://') return patterns.some(pattern => pattern.test('null'))
      const page = parse(origin)
      if (!page || !/^https?:$/.test(page.protocol)) return false
      if (page.host === parse(`${page.protocol}//${host}`)?.host) return true
      return loopback && LOOPBACK_NAMES.includes(page.hostname)
    },
  }
}

/** As browsers send it: no path in it that a glob could run over, such as `https://evil.com/.example.com`. */
function isOrigin(origin: string): boolean {
  return (
    origin === 'null' ||
    origin === 'file://' ||
    (/^[^:/]+:\/\/[^/\\?#@\s]+$/.test(origin) && URL.canParse(origin))
  )
}

function parse(url: string): URL | undefined {
  return URL.canParse(url) ? new URL(url) : undefined
}
