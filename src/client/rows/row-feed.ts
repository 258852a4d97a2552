import type { RowChange } from '../apply-change.js'
import { type Document, textOf } from '../document.js'
import { isObject } from '../is-object.js'
import type { FeedStatus } from '../subscription/feed-status.js'
import { isPassingError } from '../subscription/is-passing-error.js'
import { createKeptSubscription } from '../subscription/kept-subscription.js'
import type { SubscribingClient } from '../subscription/subscribing-client.js'
import type { ResultError } from '../subscription/subscription-error.js'
import { createTransactionBatches, WITH_MARKS } from './transaction-batches.js'

/** A change as a row feed delivers it: all fields that the document selects. */
export interface FeedChange extends RowChange<unknown, unknown> {
  /** The id of the database transaction, `pg_current_xact_id()` of the writer. */
  readonly transaction?: string
}

/** The type of the changes in the result of a document, which has one field. */
export type ChangeOf<Data> = Extract<NonNullable<Data[Exclude<keyof Data, '__typename'>]>, object>

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

/** Gets what a row feed receives. The functions may dispose of the feed. If one throws, the feed ends with that error. */
export interface RowFeedListener<Change> {
  /** All rows at one moment (operation READ), which replace everything before: at first, and whenever the feed has read them again. */
  rows(rows: readonly Change[]): void
  /**
   * The changes of one transaction, in order: INSERT, UPDATE, DELETE and TRUNCATE. A transaction arrives in parts only if it has more
   * than `maxChanges` changes.
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

/** Each comes from one change, which the rows show without it; in place of a row of the table it would come again. */
const OF_ONE_CHANGE: ReadonlySet<unknown> = new Set(['EVENT_TOO_LARGE', 'VALUE_NOT_SHOWN'])

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
  const query = textWithInitial(document)
  let hasRows = false
  /** The rows that have arrived, until all of them have. */
  let reading: Change[] | undefined
  const batches = createTransactionBatches<Change>({
    transactionOf: change => change.transaction,
    maxChanges,
    deliver: (changes, transaction) => subscription.attempt(() => listener.changes(changes, transaction)),
  })
  const subscription = createKeptSubscription<Data>(
    client,
    {
      query,
      ...(variables && { variables: variables as Record<string, unknown> }),
      extensions: WITH_MARKS,
    },
    {
      starting() {
        batches.discard()
        reading = []
      },
      next(result) {
        if (batches.takeMark(result)) return
        const { data, errors = [] } = result
        const change = fieldOf(data) as Change | undefined
        if (change && !errors.some(isOfKey)) take(change)
        else subscription.fail(errors)
      },
      interrupted: batches.interrupted,
      ending: batches.discard, // only a part of a transaction is left
      state: () => (!reading ? 'live' : hasRows ? 'catching-up' : 'loading'),
      isPassing: error => isPassingError(error) || (!reading && OF_ONE_CHANGE.has(error.code)),
      status: status => listener.status(status),
    },
  )
  function take(change: Change): void {
    const { operation } = change
    if (operation === 'RESET') reset()
    else if (operation === 'READ') reading?.push(change)
    else if (operation === 'READY') ready()
    else if (reading) throw new TypeError('subscribe with initial: true')
    else batches.take(change)
  }
  function reset(): void {
    batches.discard()
    reading = []
    subscription.update()
  }
  function ready(): void {
    const { epoch } = subscription
    const rows = reading ?? []
    reading = undefined
    hasRows = true
    listener.rows(rows)
    if (epoch === subscription.epoch) subscription.update()
  }
  return {
    get status() {
      return subscription.status
    },
    refetch: subscription.restart,
    dispose() {
      batches.discard()
      subscription.dispose()
    },
  }
}

/** @throws TypeError if the document does not contain the argument `initial` */
export function textWithInitial(document: Parameters<typeof textOf>[0]): string {
  const text = textOf(document)
  if (/\binitial\s*:/.test(text)) return text
  throw new TypeError('subscribe with peopleChanged(initial: true)')
}

/** Returns the only field of a result. */
function fieldOf(data: unknown): unknown {
  return Object.values((data ?? {}) as object).find(isObject)
}

/** Part of the key is missing, so that the change names no row. */
function isOfKey({ path }: ResultError): boolean {
  return path?.[1] === 'key'
}
