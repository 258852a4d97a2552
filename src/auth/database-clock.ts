/** The clock of the database, as far as this server knows it: the moments of kicks are told by it. */
export interface DatabaseClock {
  /** The database said that it is this moment (ms since 1970). */
  set(now: number): void
  /**
   * In ms since 1970. It lags by the time that the latest answer took to arrive, and does not run ahead. Before the first answer: the clock
   * of this machine.
   */
  now(): number
}

export function createDatabaseClock(): DatabaseClock {
  let latest: { readonly told: number; readonly at: number } | undefined
  return {
    set(now) {
      latest = { told: now, at: performance.now() }
    },
    now() {
      // performance.now() goes on evenly when the clock of the machine is set.
      return latest ? latest.told + performance.now() - latest.at : Date.now()
    },
  }
}
