import type { RowChange } from '../apply-change.js'
import { createBackoff } from '../backoff.js'
import { type Document, textOf } from '../document.js'
import type { ResumingSink } from '../resuming-sink.js'
import { SubscriptionError } from '../subscription-error.js'
import type { FeedState, FeedStatus } from './feed-status.js'
import { helpsToReadAgain } from './helps-to-read-again.js'
import { createTransactionBatches } from './transaction-batches.js'

/** A change as a row feed delivers it: all fields that the document selects. */
export interface FeedChange extends RowChange<unknown, unknown> {
  /** The id of the database transaction, `pg_current_xact_id()` of the writer. */
  readonly transaction?: string
}

/** The type of the changes in the result of a document, which has one field. */
export type ChangeOf<Data> = Extract<NonNullable<Data[Exclude<keyof Data, '__typename'>]>, object>

/** The part of a client of `createClient` that subscriptions need. */
export interface SubscribingClient {
  /** As of graphql-ws; the sink may have more. */
  subscribe<Data, Extensions>(
    payload: {
      readonly query: string
      readonly variables?: Record<string, unknown>
      readonly operationName?: string
    },
    sink: ResumingSink<Result<Data, Extensions>>,
  ): () => void
}

interface Result<Data, Extensions> {
  readonly data?: Data | null
  readonly errors?: readonly { readonly message: string }[]
  readonly extensions?: Extensions
}

/** What a row feed follows. */
export interface RowFeedOptions<Data, Variables> {
  /**
   * A subscription to the changes of one table with `initial: true`, which selects `operation`, `key`, `row` and, for batches of one
   * transaction each, `transaction`: `subscription { peopleChanged(initial: true) { operation key { pk } row { pk name } transaction } }`.
   */
  readonly changes: Document<Data, Variables>
  /** The variables of the document. */
  readonly variables?: Variables | undefined
  /** A transaction with more changes is delivered in parts of so many. Default: 10,000. */
  readonly maxChanges?: number | undefined
}

/** Gets what a row feed receives. The functions may dispose of the feed, and must not throw. */
export interface RowFeedListener<Change> {
  /** All rows at one moment (operation READ), which replace everything before: at first, and whenever the feed has read them again. */
  rows(rows: readonly Change[]): void
  /**
   * The changes of one transaction, in order: INSERT, UPDATE, DELETE and TRUNCATE. A transaction arrives in parts if it has more than
   * `maxChanges` changes, or if the stream pauses within it for more than 10 ms.
   * @param transaction undefined if the document does not select it; the changes may then be of several transactions
   */
  changes(changes: readonly Change[], transaction: string | undefined): void
  /** The status has changed. It becomes `live` after `rows`. */
  status(status: FeedStatus): void
}

/** The rows of a table, or of a filter, and their changes. */
export interface RowFeed {
  /** `loading` at first. */
  readonly status: FeedStatus
  /** Reads all rows again, also after an error. */
  refetch(): void
  /** Unsubscribes. The last delivery is the status `closed`. May be called twice. */
  dispose(): void
}

/** After such a time without an error, in ms, the next error is the first one again. */
const STEADY_MS = 60_000

/**
 * Follows one table by one subscription with `initial: true`. The feed knows nothing of the table: it takes the only field of each
 * result. After a lost connection the client resumes, so that changes are neither lost nor repeated. Where the subscription ends with
 * an error that a fresh read helps against (`CURSOR_EXPIRED`, `SCHEMA_CHANGED` and others), the feed subscribes again after a pause,
 * and delivers all rows anew; the rows until then stay valid as they were. Other errors end the feed.
 *
 * @throws TypeError if the document does not contain the argument `initial`
 */
export function createRowFeed<Data, Variables extends object>(
  client: SubscribingClient,
  { changes: document, variables, maxChanges = 10_000 }: RowFeedOptions<Data, Variables>,
  listener: RowFeedListener<ChangeOf<Data>>,
): RowFeed {
  type Change = ChangeOf<Data> & FeedChange
  const query = textOf(document)
  if (!/\binitial\s*:/.test(query))
    throw new TypeError(
      'the subscription has no rows to begin with: write peopleChanged(initial: true) { operation key { … } row { … } transaction }',
    )
  const backoff = createBackoff()
  const batches = createTransactionBatches<Change>({
    transactionOf: change => change.transaction,
    maxChanges,
    deliver: listener.changes,
  })
  let status: FeedStatus = { state: 'loading', since: new Date() }
  let hasRows = false
  /** The rows that have arrived, until all of them have. */
  let reading: Change[] | undefined
  let unsubscribe = () => {}
  /** Changes with each subscription, so that earlier ones and their retries are ignored. */
  let epoch = 0
  let retries = 0
  let steadySince = Number.POSITIVE_INFINITY

  function become(state: FeedState, error?: SubscriptionError): void {
    if (status.state === state && status.error === error) return
    status = { state, since: new Date(), error }
    listener.status(status)
  }
  /** @param error why it starts again */
  function start(error?: SubscriptionError): void {
    const own = stop()
    const isCurrent = () => own === epoch
    reading = []
    become(hasRows ? 'catching-up' : 'loading', error)
    if (!isCurrent()) return
    const leave = client.subscribe<Data, unknown>(
      { query, ...(variables && { variables: variables as Record<string, unknown> }) },
      {
        next({ data, errors }) {
          if (!isCurrent()) return
          const change = fieldOf(data)
          if (change) take(change)
          else fail(errors)
        },
        error(reason) {
          if (isCurrent()) fail(reason)
        },
        complete() {
          if (isCurrent()) close()
        },
        accepted() {
          if (isCurrent()) become(reading ? (hasRows ? 'catching-up' : 'loading') : 'live', reading && error)
        },
        interrupted() {
          if (isCurrent()) become('offline', error)
        },
      },
    )
    if (isCurrent()) unsubscribe = leave
    else leave()
  }
  /** @returns the number of the next subscription */
  function stop(): number {
    const own = ++epoch
    backoff.cancel()
    unsubscribe()
    unsubscribe = () => {}
    batches.discard()
    reading = undefined
    return own
  }
  function fieldOf(data: Data | null | undefined): Change | undefined {
    if (!data) return undefined
    return (Object.values(data) as unknown[]).find(value => typeof value === 'object' && value !== null) as
      | Change
      | undefined
  }
  function take(change: Change): void {
    const { operation } = change
    if (operation === 'RESET') {
      const own = epoch
      batches.flush()
      if (own !== epoch) return
      reading = []
      become(hasRows ? 'catching-up' : 'loading')
    } else if (operation === 'READ') reading?.push(change)
    else if (operation === 'READY') ready()
    else if (reading)
      fail(
        new TypeError(`the first change is ${operation}: subscribe with initial: true, and select operation`),
      )
    else batches.take(change)
  }
  function ready(): void {
    const rows = reading ?? []
    const own = epoch
    reading = undefined
    hasRows = true
    steadySince = Date.now()
    listener.rows(rows)
    if (own === epoch) become('live')
  }
  function fail(reason: unknown): void {
    const error = new SubscriptionError(reason)
    const own = epoch
    const isReading = reading !== undefined
    batches.flush() // these changes came before the error
    if (own !== epoch) return
    if (!helpsToReadAgain(error, isReading)) {
      stop()
      return become('failed', error)
    }
    if (Date.now() - steadySince > STEADY_MS) retries = 0
    steadySince = Number.POSITIVE_INFINITY
    const next = stop()
    become('offline', error)
    const again = () => {
      if (next === epoch) start(error)
    }
    void backoff.wait(retries++).then(again)
  }
  function close(): void {
    stop()
    become('closed')
  }
  start()
  return {
    get status() {
      return status
    },
    refetch() {
      retries = 0
      start()
    },
    dispose() {
      if (status.state !== 'closed') close()
    },
  }
}
