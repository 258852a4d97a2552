import { createHash } from 'node:crypto'
import { type Claims, claimAt, scalarText } from '../lib/claims.js'
import { stableStringify } from '../lib/json/stable-stringify.js'
import type { Viewer } from './viewer.js'

/** What kicks need to know of a viewer. */
export type Holder = Pick<Viewer, 'claims' | 'issuedAt'>

/**
 * The accepted tokens whose time of issue is ahead of the database's clock. Their issuer's clock is fast, so `iat` does not
 * show whether they were issued before a kick.
 */
export interface EarlyTokens {
  add(holder: Holder): void
  /** Fingerprints of the tokens that have this claim and whose `iat` is `at` (ms since 1970) or later. */
  holding(claim: string, value: string, at: number): string[]
  /**
   * Drops tokens whose `iat` is before a time (ms since 1970): every kick from then on is later than their `iat` and ends them
   * anyway.
   */
  forget(before: number): void
  readonly size: number
}

/** Most tokens that are remembered; then the oldest entry is dropped. Only an issuer with a fast clock can add any. */
export const MAX_EARLY_TOKENS = 10_000

export function createEarlyTokens(max = MAX_EARLY_TOKENS): EarlyTokens {
  /** By fingerprint. */
  const tokens = new Map<string, Holder>()
  return {
    add(holder) {
      const fingerprint = fingerprintOf(holder)
      // A token that is still in use becomes the newest entry.
      tokens.delete(fingerprint)
      tokens.set(fingerprint, holder)
      const [oldest] = tokens.keys()
      if (tokens.size > max && oldest !== undefined) tokens.delete(oldest)
    },
    holding(claim, value, at) {
      return [...tokens]
        .filter(([, { claims, issuedAt = 0 }]) => issuedAt >= at && hasClaim(claims, claim, value))
        .map(([fingerprint]) => fingerprint)
    },
    forget(before) {
      for (const [fingerprint, { issuedAt = 0 }] of tokens) if (issuedAt < before) tokens.delete(fingerprint)
    },
    get size() {
      return tokens.size
    },
  }
}

/** Identifies a token, equally on all servers. */
export function fingerprintOf({ claims, issuedAt }: Holder): string {
  return createHash('sha256')
    .update(stableStringify([claims, issuedAt ?? null]))
    .digest('base64url')
}

/** The values of a claim as texts. A list, such as the groups of a user, gives several. */
export function valuesOf(claims: Claims, claim: string): string[] {
  return [claimAt(claims, claim)].flat().flatMap(value => scalarText(value) ?? [])
}

function hasClaim(claims: Claims, claim: string, value: string): boolean {
  return valuesOf(claims, claim).includes(value)
}
