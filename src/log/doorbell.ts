/** The channel that writers ring on. */
export const BELL = 'listenql'

/** What the loop that reads the log does between two reads. */
export interface Doorbell {
  /**
   * Called after each read with the number of events it found. Resolves when it is time to read again.
   * @param query runs SQL on the connection that reads, in a transaction of its own
   */
  next(
    found: number,
    query: (sql: string, values?: readonly unknown[]) => Promise<Record<string, unknown>[]>,
  ): Promise<void>
  /** A notification came on the internal channel. Anyone may send one: the payload is a hint and nothing more. */
  ring(payload: string): void
  /** Whether the internal channel is listened to. While it is not, the bell is not relied on. */
  onListening(isListening: boolean): void
  /** The loop starts on a new connection. */
  reset(): void
  /** Ends the wait that is under way. */
  wake(): void
}

export interface DoorbellOptions {
  /** Between two reads while awake, in ms. */
  readonly poll: number
  /** Quiet time after which it goes to sleep, in ms. */
  readonly quiet: number
  /** Between two reads while it settles, in ms. Default 20. */
  readonly settle?: number
  /** Between two reads while asleep, in ms: nothing rests on the bell alone. */
  readonly safety: number
}

/** Reads at a fixed pace and never sleeps: for poolers in transaction mode, and where the bell is not wanted. */
export function createPollDoorbell({ poll }: Pick<DoorbellOptions, 'poll'>): Doorbell {
  const timer = createTimer()
  return {
    next: () => timer.wait(poll),
    ring: () => undefined,
    onListening: () => undefined,
    reset: () => undefined,
    wake: timer.wake,
  }
}

/** A wait that can be cut short. */
function createTimer() {
  let wake: () => void = () => undefined
  return {
    wait: (ms: number) =>
      new Promise<void>(resolve => {
        const timer = setTimeout(() => wake(), ms)
        wake = () => {
          clearTimeout(timer)
          resolve()
        }
      }),
    wake: () => wake(),
  }
}

/** For how long it polls before it asks again for a bell that the database refused (prepared transactions), in ms. */
const ASK_AGAIN_MS = 60_000

/**
 * Interrupt, then poll, as NAPI does in Linux network drivers: asleep, the first commit rings; awake, writers do not notify
 * at all. Falling asleep has three steps, each of which closes a race:
 * 1. arm, and commit it: writers that look from now on will ring;
 * 2. draw an xid of our own as a fence: transactions older than it may have looked before, and decided not to ring;
 * 3. go on reading until no transaction below the fence is running. Only then is silence proof.
 */
/** A page of so many events is followed by another at once. After shorter ones it pauses: each look costs a commit. */
const LONG_PAGE_EVENTS = 1000

export function createBell(options: DoorbellOptions): Doorbell {
  const { poll, quiet, settle = 20, safety } = options
  const leaseSeconds = Math.max(10, Math.ceil((5 * safety) / 1000))
  const timer = createTimer()
  let ticket = 0
  let quietSince = 0
  let fence: string | undefined
  let isSettled = false
  let leasedAt = 0
  let isListening = false
  let refusedAt = Number.NEGATIVE_INFINITY

  function awake(): void {
    fence = undefined
    isSettled = false
    quietSince = performance.now()
  }

  return {
    async next(found, query) {
      if (ticket > 0) {
        const answered = ticket
        ticket = 0
        awake()
        await query('select listenql.clear($1)', [answered])
        return
      }
      const mayRest = isListening && performance.now() - refusedAt > ASK_AGAIN_MS
      if (found > 0 || !mayRest) awake()
      if (fence === undefined) {
        if (!mayRest || performance.now() - quietSince < quiet)
          return found >= LONG_PAGE_EVENTS ? undefined : timer.wait(poll)
        const [bell] = await query('select listenql.arm($1) as armed', [leaseSeconds])
        leasedAt = performance.now()
        if (bell?.armed !== true) {
          refusedAt = leasedAt
          return
        }
        const [row] = await query('select pg_current_xact_id()::text as fence')
        fence = String(row?.fence)
        return
      }
      if (!isSettled) {
        // Asked before the read that follows: what the fence lets pass is then in that read.
        const [row] = await query(
          'select pg_snapshot_xmin(pg_current_snapshot()) >= $1::text::xid8 as passed',
          [fence],
        )
        isSettled = row?.passed === true
        if (ticket > 0) return
        if (isSettled) return
        return timer.wait(settle)
      }
      const sinceLease = performance.now() - leasedAt
      if (sinceLease > leaseSeconds * 900) return awake() // overslept: the lease may have run out, writers may not ring
      if (sinceLease > leaseSeconds * 200) {
        await query('select listenql.renew($1)', [leaseSeconds])
        leasedAt = performance.now()
      }
      if (ticket === 0) await timer.wait(safety)
    },
    ring(payload) {
      if (!/^\d{1,15}$/.test(payload)) return
      ticket = Math.max(ticket, Number(payload))
      timer.wake()
    },
    onListening(now) {
      isListening = now
      if (!now) timer.wake()
    },
    reset() {
      ticket = 0
      refusedAt = Number.NEGATIVE_INFINITY // maybe another server, or another setting
      awake()
    },
    wake: timer.wake,
  }
}
