import type { Observe } from '../../lib/observation.js'
import { findUnfollowedPolicies } from './unfollowed-policies.js'

/** Reports the policies that live queries cannot follow, each once. */
export interface UnfollowedReport {
  /** Looks again, one look at a time: calls meanwhile share one more look. Resolves after a look that began after the call. */
  run(): Promise<void>
}

export function createUnfollowedReport({
  query,
  observe,
}: {
  readonly query: Parameters<typeof findUnfollowedPolicies>[0]
  readonly observe: Observe
}): UnfollowedReport {
  const reported = new Set<string>()
  let running: Promise<void> | undefined
  let next: Promise<void> | undefined

  async function look(): Promise<void> {
    // The rights may be read later, or by another server: a report is no reason to fail.
    const errors = await findUnfollowedPolicies(query).catch(() => [])
    for (const { message, hint } of errors) {
      if (reported.has(message)) continue
      reported.add(message)
      observe({ type: 'policy.unfollowed', message, hint })
    }
    running = undefined
  }

  function begin(): Promise<void> {
    next = undefined
    running = look()
    return running
  }

  return {
    run() {
      if (!running) return begin()
      next ??= running.then(begin)
      return next
    },
  }
}
