import { ApolloClient, type ApolloLink, HttpLink, InMemoryCache } from '@apollo/client/core'
import { RetryLink } from '@apollo/client/link/retry'
import { GraphQLWsLink } from '@apollo/client/link/subscriptions'
import type { Client } from 'graphql-ws'
import { channelEvents, listenable, sendNotify } from '../documents.js'
import { type ConnectClient, createReceiver, type RealClient } from './client.js'
import { createWsClient } from './graphql-ws.js'

function adapt(link: ApolloLink, close?: () => void | Promise<void>): RealClient {
  const client = new ApolloClient({ link, cache: new InMemoryCache() })
  return {
    subscribe(name) {
      const { received, result, error, end } = createReceiver()
      const subscription = client.subscribe({ query: channelEvents, variables: { name } }).subscribe({
        next(value) {
          if (value.error) error(value.error)
          result({ data: value.data })
        },
        error(reason) {
          error(reason)
          end()
        },
        complete: end,
      })
      return { ...received, unsubscribe: () => subscription.unsubscribe() }
    },
    channels: async () => (await client.query({ query: listenable })).data?.channels,
    notify: async (channel, payload) =>
      (await client.mutate({ mutation: sendNotify, variables: { channel, payload } })).data?.notify,
    async close() {
      client.stop()
      await close?.()
    },
  }
}

/** Only an HttpLink: subscriptions arrive as multipart. */
export const apolloHttp: ConnectClient = (url, fetchFn = fetch) =>
  adapt(new HttpLink({ uri: `${url}/graphql`, fetch: fetchFn }))

/** With Apollo's link that retries after a lost connection. */
export const apolloHttpRetry: ConnectClient = (url, fetchFn = fetch) =>
  adapt(
    new RetryLink({ attempts: { max: Number.POSITIVE_INFINITY }, delay: { max: 500 } }).concat(
      new HttpLink({ uri: `${url}/graphql`, fetch: fetchFn }),
    ),
  )

export function adaptApolloWs(client: Client): RealClient {
  return adapt(new GraphQLWsLink(client), () => client.dispose())
}

export const apolloWs: ConnectClient = url => adaptApolloWs(createWsClient(url))
