import { useEffect, useMemo, useRef, useState } from 'react'
import { createDifferences, type Differences } from './row-differences.js'
import type { Row } from './watched-table.js'

/** What has changed since the rows of this view came. */
export interface SeenChanges {
  /** The rows that the last change has added. */
  readonly added: ReadonlySet<string>
  /** The number of changed rows so far. */
  readonly seen: number
  /** For screen readers: from time to time, what has changed since the last time. */
  readonly news: string
}

interface Compared {
  readonly rows: readonly Row[]
  readonly shown: string
  readonly found: Differences | undefined
  /** The number of changes up to these rows. */
  readonly seen: number
}

const sizeOf = (found: Differences | undefined) =>
  found ? found.added.size + found.changed + found.removed : 0

/** Often enough to show activity, rarely enough for a screen reader. */
const FIRST_MS = 500
const NEXT_MS = 10_000
const NONE: ReadonlySet<string> = new Set()

/**
 * @param rows equal rows are the same objects as before
 * @param shown which view the rows belong to: another view is no change
 */
export function useDifferences(rows: readonly Row[], idOf: (row: Row) => string, shown: string): SeenChanges {
  const differences = useMemo(() => createDifferences(idOf), [idOf])
  // Compared once for each list: React may render the same one several times.
  const last = useRef<Compared>(undefined)
  if (last.current?.rows !== rows || last.current.shown !== shown) {
    const found = differences(rows, shown)
    last.current = { rows, shown, found, seen: (last.current?.seen ?? 0) + sizeOf(found) }
  }
  const { found, seen } = last.current

  const [news, setNews] = useState('')
  const counts = useRef({ added: 0, changed: 0, removed: 0 })
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  useEffect(() => {
    if (!found) return
    const { added, changed, removed } = found
    if (sizeOf(found) === 0) return
    const sum = counts.current
    counts.current = {
      added: sum.added + added.size,
      changed: sum.changed + changed,
      removed: sum.removed + removed,
    }
    const tell = () => {
      timer.current = undefined
      setNews(words(counts.current))
      const hadNews = Object.values(counts.current).some(count => count > 0)
      counts.current = { added: 0, changed: 0, removed: 0 }
      if (hadNews) timer.current = setTimeout(tell, NEXT_MS)
    }
    timer.current ??= setTimeout(tell, FIRST_MS)
  }, [found])
  useEffect(() => () => clearTimeout(timer.current), [])
  return { added: found?.added ?? NONE, seen, news }
}

function words(counts: {
  readonly added: number
  readonly changed: number
  readonly removed: number
}): string {
  const parts = Object.entries(counts).flatMap(([word, count]) => (count > 0 ? `${count} ${word}` : []))
  return parts.join(', ')
}
