import type { IncomingMessage } from 'node:http'
import type { Refusal } from './reply.js'

/** Where a request goes. */
export type Target =
  | { readonly kind: 'graphql'; readonly url: URL }
  | { readonly kind: 'listen'; readonly channel: string }
  /** A channel whose name is not percent-encoded correctly. */
  | { readonly kind: 'malformed'; readonly refusal: Refusal }
  /** Any other path below the base path. */
  | { readonly kind: 'path'; readonly path: string; readonly search: URLSearchParams }
  | { readonly kind: 'nowhere' }

export interface TargetOptions {
  /** Path that all routes are under: empty, or with a leading and no trailing slash. */
  readonly basePath: string
  /** Whether paths without it are accepted, too: a proxy in front of the server may have stripped it. */
  readonly isBasePathOptional: boolean
}

const LISTEN = '/listen/'

/** Finds the target of a request by its path alone, for HTTP and for upgrades. */
export function createTargets({ basePath, isBasePathOptional }: TargetOptions) {
  /** The path below the base path; undefined if it is not below it. */
  function pathOf({ pathname }: URL): string | undefined {
    if (pathname === basePath) return '/'
    if (pathname.startsWith(`${basePath}/`)) return pathname.slice(basePath.length)
    return isBasePathOptional ? pathname : undefined
  }

  return {
    of(request: IncomingMessage): Target {
      const url = urlOf(request)
      const path = url && pathOf(url)
      if (!url || path === undefined) return { kind: 'nowhere' }
      if (path === '/graphql') return { kind: 'graphql', url }
      return path.startsWith(LISTEN) ? channelIn(path) : { kind: 'path', path, search: url.searchParams }
    },
    /** The message for a path that has no route. */
    notFound: `not found; this server has ${basePath}/ (page), ${basePath}/graphql, ${basePath}/listen/{channel}, ${basePath}/healthz, ${basePath}/readyz\n`,
  }
}

function channelIn(path: string): Target {
  try {
    return { kind: 'listen', channel: decodeURIComponent(path.slice(LISTEN.length)) }
  } catch {
    const message = `the channel name in ${path} is not percent-encoded correctly`
    return { kind: 'malformed', refusal: { status: 400, message } }
  }
}

/**
 * The Host header must not affect the path; a proxy may send the whole URL
 * (https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2).
 */
function urlOf({ url = '' }: IncomingMessage): URL | undefined {
  const target = url.startsWith('/') ? `http://localhost${url}` : /^https?:/i.test(url) ? url : ''
  return URL.canParse(target) ? new URL(target) : undefined
}
