// How much one batch may ask, so that other tables and other viewers of the table do not wait long: how many viewers, and how much
// time for each.

import { OWN_STATEMENT_TIMEOUT_MS } from '../policy-transaction.js'

/** Silence after which an unresponsive connection is abandoned, in ms: its statements have ended by then. */
export const SILENCE_MS = OWN_STATEMENT_TIMEOUT_MS + 5000

/** A batch that takes between SHORT_MS and LONG_MS leaves the number of viewers as it is. */
const SHORT_MS = 25
const LONG_MS = 100

/** Viewers in one batch, at first and at most: a batch should be short, since others wait for the connection. */
export const FIRST_BATCH_VIEWERS = 50
export const MAX_BATCH_VIEWERS = 250

/** The number of viewers in one batch of a table. */
export interface BatchSizes {
  of(relid: string): number
  /** @param took in ms, for that many viewers */
  took(relid: string, viewers: number, took: number): void
}

export function createBatchSizes(): BatchSizes {
  const sizes = new Map<string, number>()
  const of = (relid: string) => sizes.get(relid) ?? FIRST_BATCH_VIEWERS
  return {
    of,
    took(relid, viewers, took) {
      const size = of(relid)
      if (took > LONG_MS) sizes.set(relid, Math.max(1, Math.floor(Math.min(viewers, size) / 2)))
      else if (took < SHORT_MS && viewers >= size) sizes.set(relid, Math.min(MAX_BATCH_VIEWERS, size * 2))
    },
  }
}

/** Longest that the policies may take for one viewer, in ms, while other viewers of the table wait. */
export const QUICK_MS = 50
const MIN_QUICK_MS = 15
const SLOW_VIEWERS_TO_HALVE = 4

/**
 * The time for each viewer of a batch that others wait for, in ms. It is halved after every few viewers that took longer, down to a
 * minimum, so that many slow viewers are found soon.
 * @param found how many viewers of the check took longer
 */
export function quickBudget(found: number): number {
  return Math.ceil(Math.max(MIN_QUICK_MS, QUICK_MS / 2 ** Math.floor(found / SLOW_VIEWERS_TO_HALVE)))
}
