import { type Document, textOf } from '../document.js'
import { createLiveStore, type LiveStore, type LiveStoreOptions } from '../store/live-store.js'
import { share } from '../store/share.js'
import { isPassingError } from '../subscription/is-passing-error.js'
import { createKeptSubscription } from '../subscription/kept-subscription.js'
import type { SubscribingClient } from '../subscription/subscribing-client.js'

/** Which live query to keep. */
export interface LiveQueryOptions<Data, Variables> extends LiveStoreOptions {
  /** A live query: `subscription { people(limit: 10) { rows { pk name } } }`. */
  readonly query: Document<Data, Variables>
  /** The variables of the document. */
  readonly variables?: Variables | undefined
}

/** The present result of a live query. */
export interface QueryContents<Data> {
  /** Immutable. Parts that have not changed are the same objects as before. Undefined while it is loaded for the first time. */
  readonly data: Data | undefined
}

/** The result of a live query, kept up to date. */
export type LiveQuery<Data> = LiveStore<QueryContents<Data>>

/**
 * A store of the present result of a live query. It subscribes while it has listeners, and calls them for each result that differs
 * from the last one, and when the status changes. After errors that pass it subscribes again; the last result stays until then.
 *
 * @param client of `createClient`
 * @throws TypeError if the document is not a subscription
 */
export function liveQuery<Data, Variables extends object = Record<string, unknown>>(
  client: SubscribingClient,
  { query: document, variables, linger }: LiveQueryOptions<Data, Variables>,
): LiveQuery<Data> {
  const query = textOf(document)
  if (!/\bsubscription\b/.test(query)) throw new TypeError('write `subscription` in place of `query`')
  let data: Data | undefined
  /** Whether the data is of the present connection. */
  let isFresh = false
  const owned = createLiveStore<QueryContents<Data>>({
    linger,
    empty: { data: undefined },
    contents: () => (data === undefined ? undefined : { data }),
    open(status) {
      const subscription = createKeptSubscription<Data>(
        client,
        { query, ...(variables && { variables: variables as Record<string, unknown> }) },
        {
          starting() {
            isFresh = false
          },
          interrupted() {
            isFresh = false
          },
          next(result) {
            if (!result.data) return subscription.fail(result.errors)
            const before = data
            data = share(before, result.data)
            isFresh = true
            const { status: old } = subscription
            subscription.update()
            if (data !== before && subscription.status === old) owned.changed()
          },
          state: () => (isFresh ? 'live' : data === undefined ? 'loading' : 'catching-up'),
          isPassing: isPassingError,
          status,
        },
      )
      return { refetch: subscription.restart, dispose: subscription.dispose }
    },
  })
  return owned.store
}
