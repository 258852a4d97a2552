// Often enough to show activity, rarely enough for a screen reader.
const interval = 10_000
const words = { INSERT: 'added', UPDATE: 'changed', DELETE: 'removed' }

/** Counts changes and announces a summary from time to time, for users of a screen reader. */
export function createTally(announcer) {
  let counts = {}
  let changes = 0
  let timer

  function tell() {
    timer = setTimeout(() => {
      timer = undefined
      if (Object.keys(counts).length > 0) tell()
    }, interval)
    const parts = Object.entries(counts).map(([operation, count]) =>
      operation === 'TRUNCATE' ? 'table emptied' : `${count} ${words[operation]}`,
    )
    announcer.textContent = parts.join(', ')
    counts = {}
  }

  return {
    get changes() {
      return changes
    },
    add(operation) {
      changes += 1
      counts[operation] = (counts[operation] ?? 0) + 1
      if (timer === undefined) timer = setTimeout(tell, 500)
    },
    stop: () => clearTimeout(timer),
  }
}
