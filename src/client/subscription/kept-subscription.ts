import { createBackoff } from '../connection/backoff.js'
import type { FeedState, FeedStatus } from './feed-status.js'
import type { SubscribingClient, SubscriptionPayload, SubscriptionResult } from './subscribing-client.js'
import { SubscriptionError } from './subscription-error.js'

/** What the owner of a kept subscription does with it. Each function may dispose of the subscription. */
export interface KeptSubscriptionOptions<Data> {
  /** Called before each subscription: what is half received is void. */
  readonly starting: () => void
  /** Takes a result. An error that it throws ends the subscription. */
  readonly next: (result: SubscriptionResult<Data>) => void
  /** Called when the server has accepted it, at first and after each reconnection. */
  readonly accepted?: () => void
  /** Called when the connection is lost. */
  readonly interrupted?: () => void
  /** Called before an error ends the subscription. */
  readonly ending?: (error: SubscriptionError) => void
  /** Returns the state while the subscription lasts. */
  readonly state: () => 'loading' | 'catching-up' | 'live'
  /** Whether to subscribe again after this error. */
  readonly isPassing: (error: SubscriptionError) => boolean
  /** The status has changed. */
  readonly status: (status: FeedStatus) => void
}

/** One subscription that begins anew after errors that pass. */
export interface KeptSubscription {
  readonly status: FeedStatus
  /** Changes with each beginning and end. */
  readonly epoch: number
  /** Reads `state` again. */
  update(): void
  /** Ends it with the error if the work throws one. */
  attempt(work: () => void): void
  /** Ends it as an error of the server does. */
  fail(reason: unknown): void
  /** Begins anew at once, also after its end. */
  restart(): void
  dispose(): void
}

/** After such a time without an error, in ms, the next error is the first one again. */
const STEADY_MS = 60_000

/** Subscribes at once; the status is `loading`. */
export function createKeptSubscription<Data>(
  client: SubscribingClient,
  payload: SubscriptionPayload,
  owner: KeptSubscriptionOptions<Data>,
): KeptSubscription {
  const backoff = createBackoff()
  let status: FeedStatus = { state: 'loading', since: new Date() }
  let epoch = 0
  let unsubscribe = () => {}
  /** Why it began anew, until it is live. */
  let reason: SubscriptionError | undefined
  let retries = 0
  let liveSince: number | undefined

  function become(state: FeedState, error?: SubscriptionError): void {
    if (status.state === state && status.error === error) return
    status = { state, since: new Date(), ...(error && { error }) }
    owner.status(status)
  }
  function update(): void {
    const state = owner.state()
    if (state === 'live') {
      reason = undefined
      liveSince ??= Date.now()
    }
    become(state, reason)
  }
  /** @returns the number of the next subscription */
  function stop(): number {
    const next = ++epoch
    backoff.cancel()
    unsubscribe()
    unsubscribe = () => {}
    return next
  }
  function start(): void {
    const own = stop()
    const isCurrent = () => own === epoch
    /** Runs a step of this subscription, unless it is over. */
    const step = (work: () => void) => {
      if (isCurrent()) work()
    }
    owner.starting()
    step(update)
    if (!isCurrent()) return
    const leave = client.subscribe<Data, unknown>(payload, {
      next: result => step(() => attempt(() => owner.next(result))),
      error: error => step(() => fail(error)),
      complete: () => step(dispose),
      accepted: () =>
        step(() => {
          owner.accepted?.()
          update()
        }),
      interrupted: () =>
        step(() => {
          owner.interrupted?.()
          step(() => become('offline', reason))
        }),
    })
    if (isCurrent()) unsubscribe = leave
    else leave()
  }
  /** graphql-ws would take an error of the application for an error of the server, and close the socket of all subscriptions. */
  function attempt(work: () => void): void {
    try {
      work()
    } catch (error) {
      fail(error)
    }
  }
  function fail(cause: unknown): void {
    const error = new SubscriptionError(cause)
    const isPassing = owner.isPassing(error)
    const own = epoch
    owner.ending?.(error)
    if (own !== epoch) return
    const next = stop()
    if (!isPassing) return become('failed', error)
    if (liveSince !== undefined && Date.now() - liveSince > STEADY_MS) retries = 0
    liveSince = undefined
    reason = error
    become('offline', error)
    void backoff.wait(retries++).then(() => {
      if (next === epoch) start()
    })
  }
  function dispose(): void {
    stop()
    become('closed')
  }
  start()
  return {
    get status() {
      return status
    },
    get epoch() {
      return epoch
    },
    update,
    attempt,
    fail,
    restart() {
      retries = 0
      reason = undefined
      start()
    },
    dispose,
  }
}
