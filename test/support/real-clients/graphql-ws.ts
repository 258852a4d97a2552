import { print } from 'graphql'
import { type Client, type ClientOptions, createClient } from 'graphql-ws'
import { WebSocket } from 'ws'
import { channelEvents, listenable, sendNotify } from '../documents.js'
import type { ChannelEventsSubscription, ListenableQuery, SendNotifyMutation } from '../graphql/graphql.js'
import { type ConnectClient, createReceiver, type RealClient } from './client.js'

/**
 * A WebSocket that delivers one message per task, as browsers do. `ws` delivers all frames of a chunk in one task, and then
 * graphql-ws releases a subscription twice if the application unsubscribes within `next` and `complete` follows directly (as
 * urql does with a query). graphql-ws then believes the socket to be unused and closes it, and all messages until it reconnects
 * are lost.
 */
class TaskWiseWebSocket extends WebSocket {
  constructor(address: string | URL, protocols?: string | string[]) {
    super(address, protocols, { allowSynchronousEvents: false })
  }
}

/** The client of graphql-ws, with a WebSocket, which Node 20 lacks. */
export function createWsClient(url: string, options: Partial<ClientOptions> = {}): Client {
  return createClient({
    url: `${url.replace(/^http/, 'ws')}/graphql`,
    webSocketImpl: TaskWiseWebSocket,
    ...options,
  })
}

function adapt(client: Client, subscribe: RealClient['subscribe']): RealClient {
  async function single<Data extends object>(
    query: string,
    variables: Record<string, unknown> = {},
  ): Promise<Data | undefined> {
    for await (const result of client.iterate<Data>({ query, variables })) return result.data ?? undefined
    return undefined
  }
  return {
    subscribe,
    channels: async () => (await single<ListenableQuery>(print(listenable)))?.channels,
    notify: async (channel, payload) =>
      (await single<SendNotifyMutation>(print(sendNotify), { channel, payload }))?.notify,
    close: () => client.dispose(),
  }
}

export function adaptWsClient(client: Client): RealClient {
  return adapt(client, name => {
    const { received, result, error, end } = createReceiver()
    const unsubscribe = client.subscribe<ChannelEventsSubscription>(
      { query: print(channelEvents), variables: { name } },
      {
        next: result,
        error: reason => {
          error(reason)
          end()
        },
        complete: end,
      },
    )
    return { ...received, unsubscribe }
  })
}

export const graphqlWs: ConnectClient = url => adaptWsClient(createWsClient(url))

export const graphqlWsIterate: ConnectClient = url => {
  const client = createWsClient(url)
  return adapt(client, name => {
    const { received, result, error, end } = createReceiver()
    const results = client.iterate<ChannelEventsSubscription>({
      query: print(channelEvents),
      variables: { name },
    })
    const read = async () => {
      for await (const one of results) result(one)
    }
    void read().catch(error).then(end)
    return { ...received, unsubscribe: () => void results.return?.() }
  })
}
