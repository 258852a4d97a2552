/** The clock of the database, as far as this server knows it: kicks have their times from it. */
export interface DatabaseClock {
  /** The database has reported this time (ms since 1970). */
  set(now: number): void
  /**
   * In ms since 1970. It lags by the time that the latest response took, and never runs ahead. Before the first response: the
   * clock of this machine.
   */
  now(): number
}

export function createDatabaseClock(): DatabaseClock {
  let latest: { readonly time: number; readonly at: number } | undefined
  return {
    set(now) {
      latest = { time: now, at: performance.now() }
    },
    now() {
      // performance.now() is monotonic, even when the clock of the machine is set.
      return latest ? latest.time + performance.now() - latest.at : Date.now()
    },
  }
}
