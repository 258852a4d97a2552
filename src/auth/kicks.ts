import type { Kick } from '../database/viewer-queries.js'
import { claimAt, scalarText } from '../lib/claims.js'
import type { Viewer } from './viewer.js'

/** The kicks that are known. */
export interface Kicks {
  /** @returns whether any of them is new */
  add(kicks: readonly Kick[]): boolean
  /** Whether the viewer's token was issued before a kick of one of its claims; one that does not say when counts as old. */
  hits(viewer: Pick<Viewer, 'claims' | 'issuedAt'>): boolean
  /** Forgets those from before a moment (ms since 1970). */
  forget(before: number): void
}

export function createKicks(): Kicks {
  /** By claim, then by value: the moment of the latest. */
  const moments = new Map<string, Map<string, number>>()
  return {
    add(kicks) {
      let isNew = false
      for (const { claim, value, at } of kicks) {
        const values = moments.get(claim) ?? new Map<string, number>()
        moments.set(claim, values)
        if (at <= (values.get(value) ?? Number.NEGATIVE_INFINITY)) continue
        values.set(value, at)
        isNew = true
      }
      return isNew
    },
    hits({ claims, issuedAt = Number.NEGATIVE_INFINITY }) {
      for (const [claim, values] of moments) {
        // Of a list, such as the groups that somebody is in, each counts.
        for (const value of [claimAt(claims, claim)].flat()) {
          const text = scalarText(value)
          const at = text === undefined ? undefined : values.get(text)
          if (at !== undefined && issuedAt < at) return true
        }
      }
      return false
    },
    forget(before) {
      for (const [claim, values] of moments) {
        for (const [value, at] of values) if (at < before) values.delete(value)
        if (values.size === 0) moments.delete(claim)
      }
    },
  }
}
