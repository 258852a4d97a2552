// Viewers whose policies are slow, or wait for a lock, do not delay the others: they are checked separately, from then on at once,
// until they are quick again.
import { abortable } from '../lib/abort.js'
import type { BatchViewer } from './batches/batch-plan.js'
import type { Visibility } from './visibility.js'

/** The viewers whose policies were slow the last time, by table. */
export interface SlowViewers {
  has(relid: string, key: string): boolean
  /** The policies were too slow to evaluate together with those of other viewers. */
  add(relid: string, key: string): void
  /** @param took in ms, for this viewer alone */
  took(relid: string, key: string, took: number): void
}

/** Most viewers that are remembered for a table; at that number the table's record starts anew. */
const MAX_REMEMBERED_VIEWERS = 10_000

/** @param longest time that a viewer's query may take while others wait, in ms */
export function createSlowViewers(longest: number): SlowViewers {
  const tables = new Map<string, Set<string>>()
  return {
    has: (relid, key) => tables.get(relid)?.has(key) ?? false,
    add(relid, key) {
      const keys = tables.get(relid) ?? new Set()
      if (keys.size >= MAX_REMEMBERED_VIEWERS) keys.clear()
      keys.add(key)
      tables.set(relid, keys)
    },
    took(relid, key, took) {
      if (took > longest / 2) return
      const keys = tables.get(relid)
      keys?.delete(key)
      if (keys?.size === 0) tables.delete(relid)
    },
  }
}

/**
 * Checks all viewers together first; then, separately, those that are slow now or were slow before.
 * @param check checks viewers together; `tooSlow` receives the keys of those that get no verdict
 * @returns a promise for each viewer that is checked separately
 */
export async function checkSlowApart(
  slowViewers: SlowViewers,
  relid: string,
  viewers: readonly BatchViewer[],
  check: (viewers: readonly BatchViewer[], tooSlow?: Set<string>) => Promise<Map<string, Visibility>>,
  signal: AbortSignal,
): Promise<Map<string, Visibility | Promise<Visibility>>> {
  const quick: BatchViewer[] = []
  const answers = new Map<string, Visibility | Promise<Visibility>>()
  const checkApart = (viewer: BatchViewer) => {
    const verdict = check([viewer]).then(own => own.get(viewer.key) as Visibility)
    const answer = abortable(verdict, signal)
    answer.catch(() => undefined) // the viewer may have left
    answers.set(viewer.key, answer)
  }
  for (const viewer of viewers) {
    if (slowViewers.has(relid, viewer.key)) checkApart(viewer)
    else quick.push(viewer)
  }
  if (quick.length === 0) return answers
  const verdicts = await check(quick, new Set())
  for (const viewer of quick) {
    const verdict = verdicts.get(viewer.key)
    if (verdict !== undefined) answers.set(viewer.key, verdict)
    else {
      slowViewers.add(relid, viewer.key)
      checkApart(viewer)
    }
  }
  return answers
}
