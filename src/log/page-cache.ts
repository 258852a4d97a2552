import type { Page } from './log-queries.js'
import { comparePositions, type Position } from './position.js'

/**
 * Keeps the pages of the log that were read last, for one second. A subscriber that resumes from the beginning or the middle of a
 * kept page causes no query: after a deploy, a thousand clients read the same few pages.
 */
export interface PageCache {
  /** The kept events that follow a position of this history. Undefined: no kept page has them. */
  find(after: Position, history: number): Page | undefined
  keep(after: Position, page: Page, history: number): void
  clear(): void
}

interface Entry {
  readonly after: Position
  readonly page: Page
  readonly until: number
}

/** How many pages are kept. The database bounds the bytes of each. */
const CACHED_PAGES = 8
/** How long a page is kept, in ms. Short, because the cache does not check whether retention has cleared the events meanwhile. */
const MAX_AGE_MS = 1000

export function createPageCache(): PageCache {
  let entries: Entry[] = []
  let known: number | undefined
  let timer: NodeJS.Timeout | undefined

  /** Drops the pages of another history, whose positions cannot be compared. */
  function enter(history: number): void {
    if (history !== known) entries = []
    known = history
  }
  function sweep(): void {
    timer = undefined
    const now = performance.now()
    entries = entries.filter(({ until }) => until > now)
    if (entries.length > 0) watch()
  }
  function watch(): void {
    timer ??= setTimeout(sweep, MAX_AGE_MS).unref()
  }

  return {
    find(after, history) {
      enter(history)
      const now = performance.now()
      for (const entry of entries) {
        if (entry.until <= now) continue
        const page = cut(entry, after)
        if (page) return page
      }
      return undefined
    },
    keep(after, page, history) {
      enter(history)
      if (page.events.length === 0) return // the next read from here may find new events
      if (entries.length >= CACHED_PAGES) entries.shift()
      entries.push({ after, page, until: performance.now() + MAX_AGE_MS })
      watch()
    },
    clear() {
      entries = []
      clearTimeout(timer)
      timer = undefined
    },
  }
}

/**
 * The rest of a page after a position. Only if the page holds an event of the position's batch with the same token, which proves
 * that the position is of this history.
 */
function cut({ after: start, page }: Entry, after: Position): Page | undefined {
  const { events, position } = page
  if (comparePositions(after, start) < 0 || comparePositions(after, position) >= 0) return undefined
  if (after.token === start.token && comparePositions(after, start) === 0) return page
  let low = 0
  for (let high = events.length; low < high; ) {
    const middle = (low + high) >> 1
    const event = events[middle]
    if (event && comparePositions(event.position, after) <= 0) low = middle + 1
    else high = middle
  }
  const last = events[low - 1]?.position
  if (!last || last.n !== after.n || last.token !== after.token) return undefined
  return { ...page, events: events.slice(low) }
}
