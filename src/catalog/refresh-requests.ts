import type { Seen } from './refresh.js'
import type { WatchedTable } from './watched-table.js'

/**
 * Requests to check the catalogue at once. Each is answered by a check that began after it; one that waits for a generation of a
 * table is answered once that generation is known, or cannot become known.
 */
export interface RefreshRequests {
  /** Resolves when the request is answered. @param seen the generation to wait for. Undefined: one check suffices */
  add(seen: Seen | undefined): Promise<void>
  /** The requests that a check which begins now can answer. */
  waiting(): readonly RefreshRequest[]
  /**
   * A check is done: answers those of its requests that need no other one.
   * @param tables the watched tables. Undefined: not known
   * @param mayRefresh whether another check can find a generation
   * @returns when the next check is due: `now` for requests that were added meanwhile, `soon` for a generation that is not
   * known yet, `later` if no request waits
   */
  checked(
    requests: readonly RefreshRequest[],
    tables: readonly WatchedTable[] | undefined,
    mayRefresh: boolean,
  ): 'now' | 'soon' | 'later'
  /** Answers all requests. */
  close(): void
}

export interface RefreshRequest {
  readonly seen: Seen | undefined
  readonly resolve: () => void
  tries: number
}

/** How often the server checks for a generation that it has seen. */
const GENERATION_TRIES = 10

export function createRefreshRequests(): RefreshRequests {
  let waiting: RefreshRequest[] = []

  return {
    add: seen => new Promise<void>(resolve => waiting.push({ seen, resolve, tries: 0 })),
    waiting: () => [...waiting],
    checked(requests, tables, mayRefresh) {
      const answered = new Set(
        requests.filter(
          request => isKnown(request.seen, tables) || !mayRefresh || ++request.tries >= GENERATION_TRIES,
        ),
      )
      for (const { resolve } of answered) resolve()
      const areAdded = waiting.some(request => !requests.includes(request))
      waiting = waiting.filter(request => !answered.has(request))
      if (areAdded) return 'now'
      return waiting.length > 0 ? 'soon' : 'later'
    },
    close() {
      for (const { resolve } of waiting.splice(0)) resolve()
    },
  }
}

function isKnown(seen: Seen | undefined, tables: readonly WatchedTable[] | undefined): boolean {
  const table = seen && tables?.find(({ relid }) => relid === seen.relid)
  return !table || table.generation >= (seen as Seen).generation
}

/** The newest generation of each table for which requests wait. */
export function newestGenerations(requests: readonly RefreshRequest[]): readonly Seen[] {
  const newest = new Map<string, number>()
  for (const { seen } of requests) {
    if (seen) newest.set(seen.relid, Math.max(seen.generation, newest.get(seen.relid) ?? 0))
  }
  return [...newest].map(([relid, generation]) => ({ relid, generation }))
}
