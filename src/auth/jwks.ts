import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose'
import { messageOf } from '../lib/errors.js'
import { unavailable } from './errors.js'

export interface JwksOptions {
  readonly url: string
  /** Longest that a request for the keys may take, in ms. Default: 5 s. */
  readonly timeout?: number
  /** Age in ms at which the keys are asked for again. Default: 10 min. */
  readonly maxAge?: number
  /** Keys that old are not used any more, even if no newer ones can be had. In ms. Default: 24 h. */
  readonly maxStale?: number
  /** Between two requests, whatever keys tokens name: those cost whoever sends them nothing. In ms. Default: 10 s; after a failure 1 s. */
  readonly cooldown?: number
}

/** Largest answer that is read, in bytes. */
const MAX_JWKS_BYTES = 1024 * 1024

/**
 * The keys that an issuer publishes (https://www.rfc-editor.org/rfc/rfc7517#section-5), kept and asked for again: when they
 * are old, and when a token names one that is not among them, since issuers change their keys.
 * @returns what jose asks for the key of a token; throws ListenqlError AUTHENTICATION_UNAVAILABLE if there is nothing to go by
 */
export function createJwks(options: JwksOptions): JWTVerifyGetKey {
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
      failure = `the keys of ${new URL(url).host} cannot be had: ${messageOf(error)}`
    }
  }

  /** One request at a time, for all who wait for it. */
  async function refresh(): Promise<void> {
    if (!running && performance.now() < nextAt) return
    running ??= load().finally(() => {
      running = undefined
    })
    await running
  }

  return async (header, token) => {
    const age = performance.now() - fetchedAt
    if (age > maxAge) {
      // Old keys serve while new ones are on their way, so that a slow issuer holds up nobody.
      const refreshed = refresh()
      if (age > maxStale) await refreshed
    }
    if (!keys || performance.now() - fetchedAt > maxStale) throw unavailable(failure ?? 'no keys yet')
    try {
      return await keys(header, token)
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
      await refresh()
      if (failure !== undefined) throw unavailable(failure) // it may be a new one
      return await keys(header, token)
    }
  }
}

async function read(url: string, timeout: number): Promise<unknown> {
  const response = await fetch(url, {
    headers: { accept: 'application/jwk-set+json, application/json' },
    redirect: 'error', // elsewhere somebody else may answer
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
