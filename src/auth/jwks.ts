import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose'
import { messageOf } from '../lib/errors.js'
import { unavailable } from './errors.js'

export interface JwksOptions {
  readonly url: string
  /** Longest that a request for the keys may take, in ms. Default: 5 s. */
  readonly timeout?: number
  /** Age in ms at which the keys are fetched again. Default: 10 min. */
  readonly maxAge?: number
  /** Keys of this age are no longer used, even if no newer ones can be fetched. In ms. Default: 24 h. */
  readonly maxStale?: number
  /**
   * Minimum between two requests, in ms, whatever keys tokens name: a client can invent names at no cost. Default: 10 s; after
   * a failure 1 s.
   */
  readonly cooldown?: number
}

/** Largest response that is read, in bytes. */
const MAX_JWKS_BYTES = 1024 * 1024

export interface Jwks {
  /** The key resolver for jose. @throws ListenqlError AUTHENTICATION_UNAVAILABLE if there are no usable keys */
  readonly find: JWTVerifyGetKey
  /** Fetches the keys again, whatever their age. The former ones are used until the new ones have arrived. */
  refetch(): void
}

/**
 * The keys that an issuer publishes (https://www.rfc-editor.org/rfc/rfc7517#section-5), cached. They are fetched again when they
 * are old, and when a token names a key that is not among them, since issuers rotate their keys.
 */
export function createJwks(options: JwksOptions): Jwks {
  const { url, timeout = 5000, maxAge = 600_000, maxStale = 86_400_000, cooldown = 10_000 } = options
  let keys: ReturnType<typeof createLocalJWKSet> | undefined
  let fetchedAt = Number.NEGATIVE_INFINITY
  let nextAt = Number.NEGATIVE_INFINITY
  let failure: string | undefined
  let running: Promise<void> | undefined

  async function load(): Promise<void> {
    try {
      keys = createLocalJWKSet((await read(url, timeout)) as JSONWebKeySet)
      fetchedAt = performance.now()
      nextAt = fetchedAt + cooldown
      failure = undefined
    } catch (error) {
      nextAt = performance.now() + Math.min(cooldown, 1000)
      failure = `the keys of ${new URL(url).host} cannot be fetched: ${messageOf(error)}`
    }
  }

  /** One request at a time; all callers wait for the same one. */
  async function refresh(): Promise<void> {
    if (!running && performance.now() < nextAt) return
    running ??= load().finally(() => {
      running = undefined
    })
    await running
  }

  const find: JWTVerifyGetKey = async (header, token) => {
    const age = performance.now() - fetchedAt
    if (age > maxAge) {
      // Old keys are used while new ones are fetched, so that a slow issuer delays no viewer.
      const refreshed = refresh()
      if (age > maxStale) await refreshed
    }
    if (!keys || performance.now() - fetchedAt > maxStale) throw unavailable(failure ?? 'no keys yet')
    try {
      return await keys(header, token)
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
      await refresh()
      if (failure !== undefined) throw unavailable(failure) // the issuer may have published the key since
      return await keys(header, token)
    }
  }
  return {
    find,
    refetch() {
      nextAt = Number.NEGATIVE_INFINITY
      void refresh()
    },
  }
}

async function read(url: string, timeout: number): Promise<unknown> {
  const response = await fetch(url, {
    headers: { accept: 'application/jwk-set+json, application/json' },
    redirect: 'error', // a redirect could lead to a host that the administrator does not trust
    signal: AbortSignal.timeout(timeout),
  })
  if (response.status !== 200) {
    await response.body?.cancel()
    throw new Error(`status ${response.status}`)
  }
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    if (size > MAX_JWKS_BYTES) throw new Error(`more than ${MAX_JWKS_BYTES} bytes`)
    chunks.push(chunk)
  }
  return JSON.parse(Buffer.concat(chunks).toString())
}
