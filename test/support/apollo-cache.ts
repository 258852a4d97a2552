import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache, type ObservableQuery } from '@apollo/client'
import { from } from 'rxjs'
import { WebSocket } from 'ws'
import {
  createLiveCacheLink,
  type LiveCacheLink,
  tablesOf,
  typePoliciesOf,
} from '../../src/client/apollo/index.js'
import { createClient } from '../../src/client/index.js'
import type { CachedServer, ShownQuery } from './cached-world.js'

/** An application on Apollo Client with a live cache. */
export interface ApolloApp {
  readonly client: ApolloClient
  readonly cache: InMemoryCache
  readonly link: LiveCacheLink
  /** Names of the operations that were sent over HTTP so far. */
  readonly sent: string[]
  /** Errors of the live cache so far. */
  readonly errors: Error[]
  /** Shows a query as `useQuery` does. */
  show(shown: ShownQuery, options?: Partial<ApolloClient.WatchQueryOptions>): ShownByApollo
  close(): Promise<void>
}

/** A query that is shown. */
export interface ShownByApollo {
  readonly query: ObservableQuery
  /** Everything that a component has rendered so far. */
  readonly rendered: ObservableQuery.Result<unknown>[]
  /** What the component shows at the moment. */
  data(): unknown
  unmount(): void
}

export interface ApolloAppOptions {
  readonly url?: string
  readonly every?: number
  readonly clientOptions?: Partial<ApolloClient.Options>
  /** Answers mutations, in place of the server. */
  readonly answer?: () => Promise<Record<string, unknown>>
  readonly columns?: Readonly<Record<string, readonly string[]>>
  /** In place of the global one. */
  readonly fetch?: typeof globalThis.fetch
}

export function createApolloApp(world: CachedServer, options: ApolloAppOptions = {}): ApolloApp {
  const { url = world.proxy.url, every = 10, clientOptions, columns, answer, fetch } = options
  const ws = createClient({ url: `${url.replace('http', 'ws')}/graphql`, webSocketImpl: WebSocket })
  const tables = tablesOf(world.introspection, columns && { columns })
  const errors: Error[] = []
  const sent: string[] = []
  const link = createLiveCacheLink({ client: ws, tables, every, enabled: true, onError: e => errors.push(e) })
  const recording = new ApolloLink((operation, forward) => {
    sent.push(operation.operationName ?? '')
    return forward(operation)
  })
  const cache = new InMemoryCache({ typePolicies: typePoliciesOf(tables) })
  const client = new ApolloClient({
    cache,
    link: ApolloLink.from([
      link,
      recording,
      ApolloLink.split(
        ({ operationType }) => operationType === 'mutation' && answer !== undefined,
        new ApolloLink(() =>
          from((answer as () => Promise<Record<string, unknown>>)().then(data => ({ data }))),
        ),
        new HttpLink({ uri: `${url}/graphql`, ...(fetch && { fetch }) }),
      ),
    ]),
    ...clientOptions,
  })
  return {
    client,
    cache,
    link,
    sent,
    errors,
    show({ query: text, variables = {} }, queryOptions = {}) {
      const query = client.watchQuery({ query: gql(text), variables, ...queryOptions })
      const rendered: ObservableQuery.Result<unknown>[] = []
      const subscription = query.subscribe(result => rendered.push(result))
      return {
        query,
        rendered,
        data: () => query.getCurrentResult().data,
        unmount: () => subscription.unsubscribe(),
      }
    },
    async close() {
      link.close()
      client.stop()
      await ws.dispose()
    },
  }
}
