import { type ApolloClient, ApolloLink } from '@apollo/client'
import { Observable } from 'rxjs'
import { documentReads } from '../cache/document-reads.js'
import { createLiveTables, type LiveCacheOptions } from '../cache/live-tables.js'
import { maySubscribe } from '../cache/may-subscribe.js'
import { resultPosition } from '../cache/result-position.js'
import { createCachedRows } from './cached-rows.js'
import { READ_AGAIN, readAgain } from './read-again.js'

/** A link that keeps the queries of an ApolloClient live. */
export interface LiveCacheLink extends ApolloLink {
  /** Also follows the tables whose rows the cache has got otherwise: from a server that rendered the page, or from a storage. */
  restored(client: ApolloClient): void
  /** Unsubscribes from everything. The cache is not live any more. */
  close(): void
}

/**
 * Keeps all queries of watched tables live: `useQuery`, `useSuspenseQuery`, `watchQuery`. The link is followed by that of the queries,
 * and the client has to be new: one link for each ApolloClient.
 *
 * The link follows the changes of each table that a query shows, from the position of the query's result on, so that no change is
 * missed. A changed row is written into the cache at once, a deleted row is removed at once. Where rows came, went or moved, the queries
 * that are shown are read again together, and lists that are not shown are removed from the cache. Queries with the fetch policy
 * `no-cache` are not live; optimistic updates stay until their mutation has answered.
 */
export function createLiveCacheLink(options: LiveCacheOptions): LiveCacheLink {
  const { tables, enabled = maySubscribe() } = options
  const rows = createCachedRows(tables, () => live.seen)
  let client: ApolloClient | undefined
  const live = createLiveTables(options, {
    write(changes) {
      if (client) rows.write(client.cache, changes)
    },
    async readAgain(outdated, failures) {
      if (client) await readAgain(client, outdated, { tables, live, rows, failures })
    },
  })
  const link = new ApolloLink((operation, forward) => {
    if (!enabled || operation.getContext().listenqlReadsAgain === READ_AGAIN.listenqlReadsAgain)
      return forward(operation)
    const { query, variables, operationType } = operation
    const reads = operationType === 'query' ? documentReads(query, variables, tables) : undefined
    if (operationType === 'subscription' || reads?.types.size === 0) return forward(operation)
    client = operation.client
    const { cache } = client
    return new Observable(observer => {
      const request = live.sent(reads)
      const subscription = forward(operation).subscribe({
        next(result) {
          const missed = request.received(resultPosition(query, result.data, tables))
          observer.next(result)
          // Apollo Client writes the result before the next turn.
          if (missed.length > 0) setTimeout(() => rows.write(cache, missed))
        },
        error: reason => observer.error(reason),
        complete: () => observer.complete(),
      })
      return () => {
        request.ended()
        subscription.unsubscribe()
      }
    })
  })
  return Object.assign(link, {
    restored(restoredClient: ApolloClient) {
      if (!enabled) return
      client = restoredClient
      const cached = Object.values(
        client.cache.extract() as Record<string, { __typename?: string } | undefined>,
      )
      const types = new Set(cached.map(object => object?.__typename))
      for (const type of Object.keys(tables.rows)) if (types.has(type)) live.follow(type)
    },
    close: live.close,
  })
}
