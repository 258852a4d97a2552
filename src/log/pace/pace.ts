/** Decides how long an awake reader waits between two reads of the log. */
export interface Pace {
  /**
   * @param found the number of events that the last read found
   * @param servers between how many servers reading is shared: 1 for the leader, the number of all servers for the others. Default: 1
   * @returns the time until the next read, in ms
   */
  next(found: number, servers?: number): number
}

/** The share of one read in the average. A pace that is too slow or too quick is half corrected after five reads. */
const SHARE = 1 / 8

/** The longest time between two reads because of other servers, in ms. */
const LONGEST_MS = 50

/**
 * While few reads find something, it waits for the shortest time, so that an event is read soon. The more of them find something, the
 * longer it waits, up to twice as long: then a batch holds several commits, and all of them cost one commit of the reader.
 * Of several servers, each that does not lead waits for as many times the shortest time as there are servers, but at most for 50 ms:
 * ten of them read as often as one server alone.
 * @param shortest the time between two reads while few of them find something, in ms
 */
export function createPace(shortest: number): Pace {
  /** The share of reads that find something: a moving average. */
  let busy = 0
  return {
    next(found, servers = 1) {
      busy += ((found > 0 ? 1 : 0) - busy) * SHARE
      return Math.max(shortest * (1 + busy), Math.min(shortest * servers, LONGEST_MS))
    },
  }
}
