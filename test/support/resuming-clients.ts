import { ApolloClient, InMemoryCache } from '@apollo/client/core'
import { GraphQLWsLink } from '@apollo/client/link/subscriptions'
import { subscriptionExchange, Client as UrqlClient } from '@urql/core'
import { type GraphQLFormattedError, parse } from 'graphql'
import { pipe, subscribe as subscribeSource } from 'wonka'
import { WebSocket } from 'ws'
import { type ClientOptions, createClient } from '../../src/client/index.js'

/** A change of a watched table: the fields that every subscription selects. */
export interface Change {
  readonly operation: string
  readonly cursor?: string
  readonly row: { readonly pk: number } | null
}

interface Result {
  readonly data?: { readonly peopleChanged: Change } | null | undefined
  readonly errors?: readonly GraphQLFormattedError[] | undefined
}

/** Receives the changes, errors and end of a client's subscription. */
export interface ChangeSink {
  change(change: Change): void
  /** `extensions.code` of an error, or the text of an error without a code. */
  error(code: string): void
  end(): void
}

/** A client as in docs/clients.md. */
export interface ResumingClient {
  follow(query: string, sink: ChangeSink): () => void
  close(): Promise<void>
}

// Node 20 has no WebSocket, and Apollo's GraphQLWsLink uses the global one whenever a subscription fails.
globalThis.WebSocket ??= WebSocket as unknown as typeof globalThis.WebSocket

type WsClient = ReturnType<typeof createClient>
type Options = Pick<ClientOptions, 'url' | 'on'>

/** Short pauses, so that tests are fast; a unit test covers the default pauses. */
const connect = (options: Options): WsClient =>
  createClient({
    ...options,
    retryWait: () => new Promise(resolve => setTimeout(resolve, 20)),
  })

function bare(options: Options): ResumingClient {
  const client = connect(options)
  return {
    follow: (query, sink) =>
      client.subscribe<{ peopleChanged: Change }>(
        { query },
        {
          next: result => take(result, sink),
          error: reason => fail(reason, sink),
          complete: sink.end,
        },
      ),
    close: async () => client.dispose(),
  }
}

function apollo(options: Options): ResumingClient {
  const ws = connect(options)
  const client = new ApolloClient({ link: new GraphQLWsLink(ws), cache: new InMemoryCache() })
  return {
    follow(query, sink) {
      const subscription = client.subscribe<{ peopleChanged: Change }>({ query: parse(query) }).subscribe({
        next({ data, error }) {
          if (error) fail(error, sink)
          take({ data }, sink)
        },
        error: reason => fail(reason, sink),
        complete: sink.end,
      })
      return () => subscription.unsubscribe()
    },
    async close() {
      client.stop()
      await ws.dispose()
    },
  }
}

function urql(options: Options): ResumingClient {
  const ws = connect(options)
  const client = new UrqlClient({
    url: 'http://localhost/never-asked',
    preferGetMethod: true,
    exchanges: [
      subscriptionExchange({
        forwardSubscription: ({ query = '', variables }) => ({
          subscribe: sink => ({
            unsubscribe: ws.subscribe({ query, variables: variables as Record<string, unknown> }, sink),
          }),
        }),
      }),
    ],
  })
  return {
    follow(query, sink) {
      const { unsubscribe } = pipe(
        client.subscription<{ peopleChanged: Change }>(query, {}),
        subscribeSource(({ data, error, hasNext }) => {
          // urql repeats the last data beside an error, and once more, without `hasNext`, when a stream is complete.
          if (error) fail(error, sink)
          else if (hasNext === false) sink.end()
          else take({ data }, sink)
        }),
      )
      return unsubscribe
    },
    close: async () => ws.dispose(),
  }
}

export const RESUMING_CLIENTS: Readonly<Record<string, (options: Options) => ResumingClient>> = {
  'bare graphql-ws': bare,
  'Apollo Client': apollo,
  urql,
}

function take({ data, errors }: Result, sink: ChangeSink): void {
  for (const error of errors ?? []) sink.error(String(error.extensions?.code ?? error.message))
  if (data) sink.change(data.peopleChanged)
}

/**
 * graphql-ws fails with an array of GraphQL errors, Apollo with an error that has them in `errors`, urql in `graphQLErrors`.
 */
function fail(reason: unknown, sink: ChangeSink): void {
  const { errors, graphQLErrors } = Object(reason) as Record<string, unknown>
  const [first = reason] = [reason, errors, graphQLErrors].find(Array.isArray) ?? []
  const { extensions } = Object(first) as { extensions?: { code?: unknown } }
  sink.error(String(extensions?.code ?? first))
}
