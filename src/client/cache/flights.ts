import type { Reads } from './reads.js'
import type { RowChanges } from './row-changes.js'

/** A request whose result the cache will take. */
export interface Flight {
  /** What the request reads; undefined if it may be anything, as with a mutation. */
  readonly reads: Reads | undefined
  /** The changes since the request was sent, in order. The result may be older than they are. */
  readonly missed: readonly RowChanges[]
  /** Tables of which something happened since that only another read can show. */
  readonly outdated: ReadonlySet<string>
  /** Forgets the request. */
  end(): void
}

/** The requests on their way. */
export interface Flights {
  sent(reads: Reads | undefined): Flight
  /** Changes have been delivered. @param isOutdated whether a result from before them has to be read again */
  changed(changes: RowChanges, isOutdated: boolean): void
  /** The results of all requests on their way that read this table have to be read again, but for one. */
  outdate(type: string, except?: Flight): void
}

interface Growing extends Flight {
  readonly missed: RowChanges[]
  readonly outdated: Set<string>
  size: number
}

/** A request that misses more changes is read again instead. */
const MAX_MISSED = 10_000

export function createFlights(): Flights {
  const all = new Set<Growing>()
  const reading = (type: string) => [...all].filter(({ reads }) => !reads || reads.types.has(type))
  return {
    sent(reads) {
      const flight: Growing = {
        reads,
        missed: [],
        outdated: new Set(),
        size: 0,
        end: () => void all.delete(flight),
      }
      all.add(flight)
      return flight
    },
    changed(changes, isOutdated) {
      for (const flight of reading(changes.type)) {
        if (isOutdated) flight.outdated.add(changes.type)
        flight.size += changes.changes.length
        if (flight.size <= MAX_MISSED) {
          flight.missed.push(changes)
          continue
        }
        for (const { type } of [...flight.missed, changes]) flight.outdated.add(type)
        flight.missed.length = 0
      }
    },
    outdate(type, except) {
      for (const flight of reading(type)) if (flight !== except) flight.outdated.add(type)
    },
  }
}
