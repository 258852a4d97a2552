import { createHash } from 'node:crypto'
import { type Claims, claimAt, scalarText } from '../lib/claims.js'
import { stableStringify } from '../lib/stable-stringify.js'
import type { Viewer } from './viewer.js'

/** A viewer as kicks see it. */
export type Holder = Pick<Viewer, 'claims' | 'issuedAt'>

/**
 * The accepted tokens whose time of issue lies ahead of the database's clock. Their issuer's clock is fast: that time does not
 * tell whether they were issued before a kick.
 */
export interface EarlyTokens {
  add(holder: Holder): void
  /** Fingerprints of those that have this claim, and that say that they were issued at `at` or later (ms since 1970). */
  holding(claim: string, value: string, at: number): string[]
  /** Drops tokens whose `iat` is before a moment (ms since 1970): a kick from then on is later than the token, and ends it without being remembered. */
  forget(before: number): void
  readonly size: number
}

/** Most tokens that are remembered; the oldest entry makes room. Only an issuer with a fast clock can add any. */
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

/** Tells a token from all others, on all servers alike. */
export function fingerprintOf({ claims, issuedAt }: Holder): string {
  return createHash('sha256')
    .update(stableStringify([claims, issuedAt ?? null]))
    .digest('base64url')
}

/** The values of a claim as texts: of a list, such as the groups of a user, each one. */
export function valuesOf(claims: Claims, claim: string): string[] {
  return [claimAt(claims, claim)].flat().flatMap(value => scalarText(value) ?? [])
}

function hasClaim(claims: Claims, claim: string, value: string): boolean {
  return valuesOf(claims, claim).includes(value)
}
