import {
  Client,
  type Exchange,
  fetchExchange,
  type Operation,
  type OperationResult,
  type Client as UrqlClient,
} from '@urql/core'
import type { CacheExchangeOpts } from '@urql/exchange-graphcache'
import { filter, fromPromise, merge, mergeMap, pipe, share, subscribe, tap } from 'wonka'
import { WebSocket } from 'ws'
import { createClient } from '../../src/client/index.js'
import { type LiveCacheExchange, liveCacheExchange, tablesOf } from '../../src/client/urql/index.js'
import type { CachedServer, ShownQuery } from './cached-world.js'

/** An application on urql with a live cache. */
export interface UrqlApp {
  readonly client: UrqlClient
  readonly exchange: LiveCacheExchange
  /** Names of the operations that were sent over HTTP so far. */
  readonly sent: string[]
  /** Errors of the live cache so far. */
  readonly errors: Error[]
  /** Shows a query as `useQuery` does. */
  show(shown: ShownQuery): ShownByUrql
  close(): Promise<void>
}

/** A query that is shown. */
export interface ShownByUrql {
  /** Everything that a component has rendered so far. */
  readonly rendered: OperationResult[]
  /** What the component shows at the moment. */
  data(): unknown
  unmount(): void
}

export interface UrqlAppOptions {
  readonly url?: string
  readonly every?: number
  readonly cache?: Partial<CacheExchangeOpts>
  /** Answers mutations, in place of the server. */
  readonly answer?: () => Promise<Record<string, unknown>>
  readonly columns?: Readonly<Record<string, readonly string[]>>
  /** In place of the global one. */
  readonly fetch?: typeof globalThis.fetch
}

export function createUrqlApp(world: CachedServer, options: UrqlAppOptions = {}): UrqlApp {
  const { url = world.proxy.url, every = 10, cache, answer, columns, fetch } = options
  const ws = createClient({ url: `${url.replace('http', 'ws')}/graphql`, webSocketImpl: WebSocket })
  const tables = tablesOf(world.introspection, columns && { columns })
  const errors: Error[] = []
  const sent: string[] = []
  const exchange = liveCacheExchange({
    client: ws,
    tables,
    every,
    enabled: true,
    onError: error => errors.push(error),
    cache,
  })
  const recording: Exchange =
    ({ forward }) =>
    operations =>
      pipe(
        operations,
        tap(({ kind, query }) => {
          if (kind !== 'teardown')
            sent.push(/\b(?:query|mutation) (\w+)/.exec(query.loc?.source.body ?? '')?.[1] ?? '')
        }),
        forward,
      )
  const answering: Exchange =
    ({ forward }) =>
    operations => {
      const isAnswered = ({ kind }: Operation) => kind === 'mutation' && answer !== undefined
      const shared = share(operations)
      const answers = pipe(
        shared,
        filter(isAnswered),
        mergeMap(operation =>
          fromPromise(
            (answer as () => Promise<Record<string, unknown>>)().then(data => ({
              operation,
              data,
              stale: false,
              hasNext: false,
            })),
          ),
        ),
      )
      return merge([
        answers,
        forward(
          pipe(
            shared,
            filter(operation => !isAnswered(operation)),
          ),
        ),
      ])
    }
  const client = new Client({
    url: `${url}/graphql`,
    preferGetMethod: false,
    ...(fetch && { fetch }),
    exchanges: [exchange, recording, answering, fetchExchange],
  })
  return {
    client,
    exchange,
    sent,
    errors,
    show({ query, variables = {} }) {
      const rendered: OperationResult[] = []
      const { unsubscribe } = pipe(
        client.query(query, variables),
        subscribe(result => void rendered.push(result)),
      )
      return { rendered, data: () => rendered.at(-1)?.data, unmount: unsubscribe }
    },
    async close() {
      exchange.close()
      await ws.dispose()
    },
  }
}
