import { ListenqlError } from '../lib/errors.js'
import type { Visibility } from '../rls/visibility.js'

/**
 * Viewers about whom the policies are not asked for now. Either their last request has no answer yet, and another one would wait with
 * it; or their policies cannot be evaluated on images. Their queries are read instead.
 */
export interface SparedViewers {
  has(relid: string, key: string): boolean
  /** Notes the answer about a viewer. */
  note(relid: string, key: string, view: Visibility | Promise<Visibility>): void
}

/** How long a viewer is spared after an error, in ms, and how many are remembered. */
const ERROR_MS = 10_000
const MAX_REMEMBERED = 10_000

export function createSparedViewers(now: () => number = () => performance.now()): SparedViewers {
  /** Until when. */
  const spared = new Map<string, number>()

  function failed(id: string): void {
    if (spared.size >= MAX_REMEMBERED) spared.clear()
    spared.set(id, now() + ERROR_MS)
  }

  return {
    has(relid, key) {
      const until = spared.get(`${relid} ${key}`)
      return until !== undefined && until > now()
    },
    note(relid, key, view) {
      const id = `${relid} ${key}`
      if (view instanceof ListenqlError) return failed(id)
      if (!(view instanceof Promise)) return void spared.delete(id)
      spared.set(id, Number.POSITIVE_INFINITY)
      view.then(
        verdict => (verdict instanceof ListenqlError ? failed(id) : spared.delete(id)),
        () => failed(id),
      )
    },
  }
}
