/** How long lines of one kind are counted before the next one is written, in ms. */
const PERIOD_MS = 10_000
/** Longest text of a client that a line quotes, in characters. */
const MAX_TEXT_CHARACTERS = 200

/**
 * Limits log lines that clients can cause at will: the first of a kind is written at once, those of the next ten seconds are
 * counted, and the last of them is written with their number.
 * @param kind one of a few: a client must not be able to choose it
 * @param write called with the details and, for the last of several, a sentence for the end of the message
 */
export type LogLimiter = <Details extends object>(
  kind: string,
  details: Details,
  write: (details: Details, repeated: string) => void,
) => void

export function createLogLimiter(): LogLimiter {
  const kinds = new Map<string, { count: number; writeLast: (count: number) => void }>()

  function wait(kind: string): void {
    const entry = { count: 0, writeLast: (_count: number) => {} }
    kinds.set(kind, entry)
    setTimeout(() => {
      kinds.delete(kind)
      if (entry.count === 0) return
      entry.writeLast(entry.count)
      wait(kind)
    }, PERIOD_MS).unref()
  }

  return (kind, details, write) => {
    const shown = shorten(details)
    const entry = kinds.get(kind)
    if (!entry) {
      write(shown, '')
      return wait(kind)
    }
    entry.count++
    entry.writeLast = count =>
      write(shown, ` There were ${count} more within ${PERIOD_MS / 1000} s; this is the last.`)
  }
}

function shorten<Details extends object>(details: Details): Details {
  const entries = Object.entries(details).map(([name, value]) => {
    const isLong = typeof value === 'string' && value.length > MAX_TEXT_CHARACTERS
    return [name, isLong ? `${value.slice(0, MAX_TEXT_CHARACTERS)}…` : value]
  })
  return Object.fromEntries(entries) as Details
}
