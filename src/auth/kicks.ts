import { createEarlyTokens, fingerprintOf, valuesOf } from './early-tokens.js'
import type { Viewer } from './viewer.js'
import type { Kick } from './viewer-queries.js'

/** Tokens that have to be added to the row of a kick. */
export interface KickExtension {
  readonly id: string
  readonly tokens: readonly string[]
}

/** The kicks that this server knows. */
export interface Kicks {
  /** @returns whether any of them is new, or has new tokens */
  add(kicks: readonly Kick[]): boolean
  /**
   * Whether a kick of one of the viewer's claims ends the viewer. It does if the token's `iat` is before the kick, or missing; if
   * this server accepted the viewer before it knew the kick; or if any server had accepted the token before it knew the kick,
   * even if `iat` is later.
   */
  hits(viewer: Pick<Viewer, 'claims' | 'issuedAt' | 'accepted'>): boolean
  /** Accepts a viewer that no kick ends. @returns the viewer with `accepted` */
  accept(viewer: Viewer): Viewer
  /** Forgets kicks from before a time (ms since 1970). */
  forget(before: number): void
  /** Reports that all kicks are known that were committed up to a time of the database's clock (ms since 1970). */
  knownUpTo(moment: number): void
  /** The tokens that other servers have to know of. */
  extensions(): readonly KickExtension[]
  /** Reports that this extension is in the database. */
  written(extension: KickExtension): void
}

interface Known {
  /** The time of the latest kick. */
  at: number
  /** How many kicks were known when the latest of these was added. */
  count: number
  /** Identifies each kick. */
  readonly rows: Set<string>
  /** Fingerprints of tokens that were accepted before a kick was known. */
  readonly tokens: Set<string>
}

/** The longest time between the timestamp of a kick and its commit, in ms. */
const MAX_COMMIT_MS = 60_000

/** @param clock the database's time, in ms since 1970 */
export function createKicks(clock: { now(): number } = Date): Kicks {
  /** By claim, then by value. */
  const known = new Map<string, Map<string, Known>>()
  const early = createEarlyTokens()
  const unwritten = new Set<KickExtension>()
  let count = 0

  function add({ id, claim, value, at, tokens = [] }: Kick): boolean {
    const values = known.get(claim) ?? new Map<string, Known>()
    known.set(claim, values)
    const former = values.get(value)
    const one: Known = former ?? {
      at: Number.NEGATIVE_INFINITY,
      count: 0,
      rows: new Set(),
      tokens: new Set(),
    }
    values.set(value, one)
    const before = one.tokens.size
    for (const token of tokens) one.tokens.add(token)
    // The database may return a row several times, and an earlier kick after a later one. Ids may repeat in a restored database.
    const row = `${id} ${at}`
    if (one.rows.has(row)) return one.tokens.size > before
    one.rows.add(row)
    one.at = Math.max(one.at, at)
    one.count = ++count
    const mine = early.holding(claim, value, at)
    for (const token of mine) one.tokens.add(token)
    if (id !== undefined && mine.length > 0) unwritten.add({ id, tokens: mine })
    return true
  }

  return {
    add: kicks => kicks.filter(add).length > 0,
    hits(viewer) {
      const { claims, issuedAt = Number.NEGATIVE_INFINITY, accepted = Number.POSITIVE_INFINITY } = viewer
      for (const [claim, values] of known) {
        for (const text of valuesOf(claims, claim)) {
          const one = values.get(text)
          if (!one) continue
          if (issuedAt < one.at || accepted < one.count) return true
          if (one.tokens.size > 0 && one.tokens.has(fingerprintOf(viewer))) return true
        }
      }
      return false
    },
    accept(viewer) {
      const { issuedAt } = viewer
      if (issuedAt !== undefined && Number.isFinite(issuedAt) && issuedAt > clock.now()) early.add(viewer)
      return { ...viewer, accepted: count }
    },
    forget(before) {
      for (const [claim, values] of known) {
        for (const [value, { at }] of values) if (at < before) values.delete(value)
        if (values.size === 0) known.delete(claim)
      }
    },
    knownUpTo: moment => early.forget(moment - MAX_COMMIT_MS),
    extensions: () => [...unwritten],
    written: extension => void unwritten.delete(extension),
  }
}
