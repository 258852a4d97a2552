import type { Count, EventCounts } from '../../sources/event-counts.js'

/** A table or a pattern of channels, with its events since the server started, and lately. */
export interface EventRate {
  readonly name: string
  readonly events: number
  /** Events per second, over the last minute or since the server started. */
  readonly perSecond: number
}

export interface EventRates {
  /** The topics with the most events lately, the first one with the most. @param most how many at most */
  hottest(kind: 'tables' | 'channels', most: number): readonly EventRate[]
  close(): void
}

const SAMPLE_MS = 10_000
const SAMPLES = 6

interface Sample {
  readonly at: number
  readonly tables: ReadonlyMap<string, number>
  readonly channels: ReadonlyMap<string, number>
}

/** @param nameOf the name of a table by its oid. Undefined: it is not watched any more */
export function createEventRates(
  counts: Pick<EventCounts, 'tables' | 'channels'>,
  nameOf: (relid: string) => string | undefined,
): EventRates {
  const samples: Sample[] = []
  const sample = () => {
    samples.push({ at: performance.now(), tables: copy(counts.tables), channels: copy(counts.channels) })
    if (samples.length > SAMPLES) samples.shift()
  }
  sample()
  const timer = setInterval(sample, SAMPLE_MS).unref()
  return {
    hottest(kind, most) {
      const before = samples[0] as Sample
      const seconds = Math.max(0.001, (performance.now() - before.at) / 1000)
      return [...counts[kind]]
        .flatMap(([key, { events }]) => {
          const name = kind === 'tables' ? nameOf(key) : key
          const lately = events - (before[kind].get(key) ?? 0)
          return name === undefined ? [] : [{ name, events, perSecond: lately / seconds }]
        })
        .sort((a, b) => b.perSecond - a.perSecond || b.events - a.events)
        .slice(0, most)
    },
    close: () => clearInterval(timer),
  }
}

function copy(counts: ReadonlyMap<string, Count>): Map<string, number> {
  return new Map([...counts].map(([key, { events }]) => [key, events]))
}
