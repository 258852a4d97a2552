import { createTimer } from '../../lib/abort.js'
import type { Query } from '../../postgres/queryable.js'
import { createPace } from './pace.js'

/** The internal channel on which writers notify a sleeping server. */
export const BELL = 'listenql'

/**
 * Decides when the follower reads the log again. Correctness never depends on a notification: every wait ends by a timer, too.
 */
export interface Doorbell {
  /**
   * Called after each read. Resolves when the log should be read again.
   * @param found the number of events in the page that was read
   * @param query runs SQL on the connection that reads the log, in a transaction of its own
   * @param servers the number of servers between which reading is shared, see `Pace`. Default: 1
   */
  next(found: number, query: Query, servers?: number): Promise<void>
  /** A notification arrived on the internal channel. Any login may send one, so the payload is only a hint. */
  ring(payload: string): void
  /** Whether the LISTEN connection listens to the internal channel. While it does not, the doorbell polls. */
  onListening(isListening: boolean): void
  /** The follower reads on a new connection from now on. */
  reset(): void
  /** Ends the present wait. Called while the log is read, it prevents the next sleep, because that read may have begun too early. */
  wake(): void
}

export interface DoorbellOptions {
  /** Shortest time between two reads while awake, in ms; see `Pace`. */
  readonly poll: number
  /** Time without events after which the doorbell goes to sleep, in ms. */
  readonly quiet: number
  /** Time between two reads while it goes to sleep, in ms. Default: 20. */
  readonly settle?: number
  /** Time between two reads while asleep, in ms. These safety reads find events whose notification was lost. */
  readonly safety: number
}

/** Polls and never sleeps: for poolers in transaction mode, through which no notification arrives. */
export function createPollDoorbell({ poll }: Pick<DoorbellOptions, 'poll'>): Doorbell {
  const timer = createTimer()
  const pace = createPace(poll)
  return {
    next: (found, _, servers) => timer.wait(pace.next(found, servers)),
    ring: () => undefined,
    onListening: () => undefined,
    reset: () => undefined,
    wake: timer.wake,
  }
}

/**
 * How long the doorbell polls before it tries to arm again after the database refused (because prepared transactions are
 * enabled), in ms.
 */
const ASK_AGAIN_MS = 60_000

/**
 * After a page of at least this many events the log is read again at once. After a shorter page the doorbell waits: each read
 * costs a commit.
 */
const LONG_PAGE_EVENTS = 1000

/**
 * Interrupt, then poll, as NAPI does in Linux network drivers. While the server sleeps, the first commit notifies it; while it is
 * awake, it polls and writers do not notify. Going to sleep takes three steps, because a writer reads whether the bell is armed
 * before it commits:
 * 1. Arm, and commit that: writers that read the state from now on will notify.
 * 2. Draw an xid as a fence: a transaction with a lower xid may have read the state before step 1, and so will not notify.
 * 3. Keep reading until no transaction below the fence runs. From then on every commit notifies.
 */
export function createBell(options: DoorbellOptions): Doorbell {
  const { poll, quiet, settle = 20, safety } = options
  const leaseSeconds = Math.max(10, Math.ceil((5 * safety) / 1000))
  const timer = createTimer()
  const pace = createPace(poll)
  let ticket = 0
  let quietSince = 0
  let fence: string | undefined
  let isSettled = false
  let leasedAt = 0
  let isListening = false
  let refusedAt = Number.NEGATIVE_INFINITY
  /** Whether `wake` was called since the last sleep. */
  let isWoken = false

  function awake(): void {
    fence = undefined
    isSettled = false
    quietSince = performance.now()
  }

  return {
    async next(found, query, servers) {
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
          return found >= LONG_PAGE_EVENTS ? undefined : timer.wait(pace.next(found, servers))
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
        // Checked before the next read: transactions that ended before the check are in that read.
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
      // In ms: 90 % of the lease has passed. It may expire before it is renewed, and then writers do not notify.
      if (sinceLease > leaseSeconds * 900) return awake()
      if (sinceLease > leaseSeconds * 200) {
        await query('select listenql.renew($1)', [leaseSeconds])
        leasedAt = performance.now()
      }
      if (ticket === 0 && !isWoken) await timer.wait(safety)
      isWoken = false
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
      refusedAt = Number.NEGATIVE_INFINITY // the new connection may reach another Postgres, or one with other settings
      awake()
    },
    wake() {
      isWoken = true
      timer.wake()
    },
  }
}
