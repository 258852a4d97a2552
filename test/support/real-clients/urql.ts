import { Client, type Exchange, fetchExchange, subscriptionExchange } from '@urql/core'
import type { Client as WsClient } from 'graphql-ws'
import { pipe, subscribe as subscribeSource } from 'wonka'
import { channelEvents, listenable, sendNotify } from '../documents.js'
import { type ConnectClient, createReceiver, type RealClient } from './client.js'
import { createWsClient } from './graphql-ws.js'

function adapt(
  url: string,
  exchange: Exchange,
  close: RealClient['close'] = () => undefined,
  fetchFn: typeof fetch = fetch,
): RealClient {
  const client = new Client({
    url: `${url}/graphql`,
    exchanges: [exchange],
    fetchSubscriptions: true,
    fetch: fetchFn,
    preferGetMethod: true,
  })
  return {
    subscribe(name) {
      const { received, result, error, end } = createReceiver()
      const subscription = pipe(
        client.subscription(channelEvents, { name }),
        subscribeSource(value => {
          if (value.error) error(value.error)
          // urql signals the end of a stream by repeating the last result without `hasNext`.
          if (value.hasNext === false) return end()
          result({ data: value.data })
        }),
      )
      return { ...received, unsubscribe: subscription.unsubscribe }
    },
    channels: async () => (await client.query(listenable, {}).toPromise()).data?.channels,
    notify: async (channel, payload) =>
      (await client.mutation(sendNotify, { channel, payload }).toPromise()).data?.notify,
    close,
  }
}

/** Subscriptions over fetch arrive as Server-Sent Events. */
export const urqlFetch: ConnectClient = (url, fetchFn) => adapt(url, fetchExchange, undefined, fetchFn)

export function adaptUrqlWs(url: string, client: WsClient): RealClient {
  const exchange = subscriptionExchange({
    enableAllOperations: true,
    forwardSubscription: ({ query = '', variables }) => ({
      subscribe: sink => ({
        unsubscribe: client.subscribe({ query, variables: variables as Record<string, unknown> }, sink),
      }),
    }),
  })
  return adapt(url, exchange, () => client.dispose())
}

export const urqlWs: ConnectClient = url => adaptUrqlWs(url, createWsClient(url))
