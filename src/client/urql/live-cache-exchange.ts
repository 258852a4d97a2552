import { type Client, createRequest, type Exchange, type Operation, type OperationResult } from '@urql/core'
import {
  type Cache,
  type CacheExchangeOpts,
  cacheExchange,
  type UpdatesConfig,
} from '@urql/exchange-graphcache'
import { filter, makeSubject, merge, pipe, share } from 'wonka'
import { createLiveTables, type LiveCacheOptions, type LiveTables } from '../cache/live-tables.js'
import { maySubscribe } from '../cache/may-subscribe.js'
import type { Reads } from '../cache/reads.js'
import type { Tables } from '../cache/tables.js'
import { invalidate, invalidBy, isShownBy, writeRows } from './graphcache-writes.js'
import { keysOf } from './keys.js'
import { trackRequests } from './track-requests.js'

/** Options of `liveCacheExchange`. */
export interface LiveCacheExchangeOptions extends LiveCacheOptions {
  /** Options of graphcache's `cacheExchange`. `keys` for the tables come by themselves. */
  readonly cache?: Partial<CacheExchangeOpts> | undefined
}

/** An exchange that keeps the queries of a Client live. */
export interface LiveCacheExchange extends Exchange {
  /** Unsubscribes from everything. The cache is not live any more. */
  close(): void
}

/**
 * graphcache's `cacheExchange`, which in addition keeps all queries of watched tables live. It takes the place of `cacheExchange`.
 *
 * The exchange follows the changes of each table that a query shows, from the position of the query's result on, so that no change is
 * missed. A changed row is written into the cache at once. Where rows came, went or moved, the queries that depend on it are read again;
 * until then they show their last result, with `stale: true`. If the server cannot be reached at that moment, the exchange tries again.
 * Optimistic updates stay until their mutation has answered.
 */
export function liveCacheExchange(options: LiveCacheExchangeOptions): LiveCacheExchange {
  const { tables, cache: given = {}, enabled = maySubscribe() } = options
  const keys = { ...keysOf(tables), ...given.keys }
  if (!enabled) return Object.assign(cacheExchange({ ...given, keys }), { close: () => undefined })
  const opened = new Set<LiveTables>()
  const exchange: Exchange = input => {
    const injected = makeSubject<OperationResult>()
    const inside = createInside(input.client, tables)
    const live = createLiveTables(options, {
      write: changes => injected.next(inside.result(cache => writeRows(cache, tables, changes))),
      async readAgain(outdated) {
        const invalid = invalidBy(tables, outdated, live.seen)
        const isMeant = (reads: Reads) => isShownBy(reads, tables, invalid)
        // graphcache would let the invalidation hide a result that arrives later, since it orders results by their requests.
        await requests.settled(isMeant)
        injected.next(inside.result(cache => invalidate(cache, tables, invalid)))
        requests.retry(isMeant)
      },
    })
    opened.add(live)
    const requests = trackRequests(input.forward, {
      tables,
      live,
      missed: changes => inside.result(cache => writeRows(cache, tables, changes)),
    })
    const cached = cacheExchange({ ...given, keys, updates: inside.updates(given) })({
      ...input,
      // graphcache subscribes twice.
      forward: operations => share(merge([requests.forward(operations), injected.source])),
    })
    return operations =>
      pipe(
        cached(operations),
        filter(({ operation }) => operation.key !== inside.operation.key),
      )
  }
  return Object.assign(exchange, {
    close() {
      for (const live of opened) live.close()
    },
  })
}

/** Work on the cache, as part of the result of a subscription: graphcache gives access to its data only while it takes a result. */
interface Inside {
  readonly operation: Operation
  /** Returns a result that runs `work` once graphcache takes it: all of it becomes visible at once. */
  result(work: (cache: Cache) => void): OperationResult
  /** The options for graphcache that make it run the work. */
  updates(options: Partial<CacheExchangeOpts>): UpdatesConfig
}

function createInside(client: Client, { rows }: Tables): Inside {
  // A field and a type of the schema, since graphcache may know it.
  const [{ changes: field, change } = { changes: '__typename', change: '' }] = Object.values(rows)
  const request = createRequest(`subscription { ${field} { operation } }`, {})
  const operation = client.createRequestOperation('subscription', request)
  return {
    operation,
    result: work => ({
      operation,
      data: { __typename: 'Subscription', [field]: { __typename: change, operation: 'UPDATE', work } },
      stale: false,
      hasNext: true,
    }),
    updates({ updates = {}, schema }) {
      const type = schema?.__schema.subscriptionType?.name ?? 'Subscription'
      const own = updates[type]?.[field]
      return {
        ...updates,
        [type]: {
          ...updates[type],
          [field](parent, args, cache, info) {
            const { work } = (parent as Record<string, { work?: (cache: Cache) => void } | null>)[field] ?? {}
            if (work) work(cache)
            else own?.(parent, args, cache, info)
          },
        },
      }
    },
  }
}
