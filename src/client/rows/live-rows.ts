import { createLiveStore, type LiveStore, type LiveStoreOptions } from '../store/live-store.js'
import type { SubscribingClient } from '../subscription/subscribing-client.js'
import {
  type ChangeOf,
  createRowFeed,
  type FeedChange,
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
export interface LiveRowsOptions<Data, Variables> extends RowFeedOptions<Data, Variables>, LiveStoreOptions {
  /**
   * Identifies the row of a change; equal values (by `===`) are the same row. Default: the primary key. A table without one needs
   * another unique column: `change => (change.row ?? change.old).email`, with `old { email }` in the document.
   */
  readonly key?: ((change: ChangeOf<Data>) => unknown) | undefined
  /** The order of the rows, as for `Array.sort`. Default: that of the first read, by primary key; rows that come later are last. */
  readonly compare?: ((a: RowOf<Data>, b: RowOf<Data>) => number) | undefined
  /** With more rows, the store fails. Default: 100,000. */
  readonly maxRows?: number | undefined
}

/** The rows at one moment. */
export interface RowsContents<Row> {
  /** Immutable. Rows that have not changed are the same objects as before. Empty while they are loaded for the first time. */
  readonly rows: readonly Row[]
}

/** The rows of a table, or of a filter, kept equal to it. */
export type LiveRows<Row> = LiveStore<RowsContents<Row>>

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
  const { key = idOf, compare, maxRows = 100_000, linger, ...rest } = options
  const followed = { ...rest, changes: textWithInitial(options.changes) }
  const list = createRowList<Row, Change>({ idOf: key, compare, maxRows })
  let hasLoaded = false
  const owned = createLiveStore<RowsContents<Row>>({
    linger,
    empty: { rows: [] },
    contents: () => (hasLoaded ? { rows: list.rows() } : undefined),
    open: status =>
      createRowFeed<Data, Variables>(client, followed, {
        rows(changes) {
          list.replace(changes as readonly Change[])
          hasLoaded = true // the status that follows notifies
        },
        changes(changes) {
          if (list.apply(changes as readonly Change[])) owned.changed()
        },
        status,
      }),
  })
  return owned.store
}

/** The primary key as a text; undefined if the document does not select it. */
const idOf = ({ key }: FeedChange): unknown => key && JSON.stringify(Object.values(key))
