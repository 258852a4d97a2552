import { LINGER_MS, openWhileHeard } from '../store/open-while-heard.js'
import type { Store } from '../store/store.js'
import type { FeedState, FeedStatus } from '../subscription/feed-status.js'
import type { SubscribingClient } from '../subscription/subscribing-client.js'
import type { SubscriptionError } from '../subscription/subscription-error.js'
import {
  type ChangeOf,
  createRowFeed,
  type FeedChange,
  type RowFeed,
  type RowFeedOptions,
  textWithInitial,
} from './row-feed.js'
import { createRowList } from './row-list.js'

/** The type of the rows in the result of a document of changes. */
export type RowOf<Data> =
  ChangeOf<Data> extends { readonly row: infer Row }
    ? unknown extends Row
      ? Record<string, unknown> // a text, which has no types
      : NonNullable<Row>
    : never

/** Which rows to keep, and how. */
export interface LiveRowsOptions<Data, Variables> extends RowFeedOptions<Data, Variables> {
  /**
   * Identifies the row of a change; equal values (by `===`) are the same row. Default: the primary key. A table without one needs
   * another unique column: `change => (change.row ?? change.old).email`, with `old { email }` in the document.
   */
  readonly key?: ((change: ChangeOf<Data>) => unknown) | undefined
  /** The order of the rows, as for `Array.sort`. Default: that of the first read, by primary key; rows that come later are last. */
  readonly compare?: ((a: RowOf<Data>, b: RowOf<Data>) => number) | undefined
  /** With more rows, the store fails. Default: 100,000. */
  readonly maxRows?: number | undefined
  /** How long the store stays subscribed after its last listener has left, in ms. Default: 1,000. */
  readonly linger?: number | undefined
}

/** The rows at one moment, and what they show. */
export interface LiveRowsSnapshot<Row> {
  /** Immutable. Rows that have not changed are the same objects as before. Empty while they are loaded for the first time. */
  readonly rows: readonly Row[]
  /** Whether the rows are those of the table now. */
  readonly state: FeedState
  /** Since when. */
  readonly since: Date
  /** Why the store has failed, or reads again. */
  readonly error: SubscriptionError | undefined
}

/** The rows of a table, or of a filter, kept equal to it. */
export interface LiveRows<Row> extends Store<LiveRowsSnapshot<Row>> {
  /** As in the snapshot. */
  readonly status: FeedStatus
  /** As in the snapshot. */
  readonly error: SubscriptionError | undefined
  /** Reads all rows again, also after an error; the present ones stay until then. Does nothing without listeners. */
  refetch(): void
  /** Unsubscribes for ever; the state becomes `closed`. May be called twice. */
  dispose(): void
}

/**
 * A store of the rows that a subscription with `initial: true` begins with, kept up to date by its changes. It subscribes while it has
 * listeners. They are called once for each transaction that changes a row, and when the status changes.
 *
 * @param client of `createClient`
 * @throws TypeError if the document does not contain the argument `initial`
 */
export function liveRows<Data, Variables extends object = Record<string, unknown>>(
  client: SubscribingClient,
  options: LiveRowsOptions<Data, Variables>,
): LiveRows<RowOf<Data>> {
  type Row = RowOf<Data>
  type Change = ChangeOf<Data> & FeedChange
  const { key = idOf, compare, maxRows = 100_000, linger = LINGER_MS, ...rest } = options
  const followed = { ...rest, changes: textWithInitial(options.changes) }
  const list = createRowList<Row, Change>({ idOf: key, compare, maxRows })
  let feed: RowFeed | undefined
  let status: FeedStatus = { state: 'loading', since: new Date() }
  let hasRows = false
  let isResting = false
  let snapshot: LiveRowsSnapshot<Row> | undefined

  function changed(): void {
    snapshot = undefined
    listeners.notify()
  }
  function become(next: FeedStatus): void {
    status = next
    changed()
  }
  function open(): () => void {
    if (feed) feed.refetch()
    else
      feed = createRowFeed<Data, Variables>(client, followed, {
        rows(changes) {
          list.replace(changes as readonly Change[])
          hasRows = true
          snapshot = undefined // the status that follows notifies
        },
        changes(changes) {
          if (list.apply(changes as readonly Change[])) changed()
        },
        status: next => {
          if (!isResting) become(next)
        },
      })
    return () => {
      isResting = true
      feed?.dispose()
      isResting = false
      status = { state: hasRows ? 'catching-up' : 'loading', since: new Date() }
      snapshot = undefined
    }
  }
  const listeners = openWhileHeard({ open, linger })
  return {
    subscribe: listeners.subscribe,
    getSnapshot() {
      snapshot ??= { rows: list.rows(), state: status.state, since: status.since, error: status.error }
      return snapshot
    },
    get status() {
      return status
    },
    get error() {
      return status.error
    },
    refetch() {
      if (listeners.isOpen) feed?.refetch()
    },
    dispose() {
      listeners.close()
      if (status.state !== 'closed') become({ state: 'closed', since: new Date() })
    },
  }
}

/** The primary key: the value of its only column, or the text of several. */
function idOf({ key }: FeedChange): unknown {
  if (typeof key !== 'object' || key === null) return undefined
  const values = Object.values(key)
  return values.length === 1 && typeof values[0] !== 'object' ? values[0] : JSON.stringify(values)
}
