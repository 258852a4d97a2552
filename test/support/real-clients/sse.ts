import { print } from 'graphql'
import { type Client, createClient } from 'graphql-sse'
import { channelEvents, listenable, sendNotify } from '../documents.js'
import type { ChannelEventsSubscription, ListenableQuery, SendNotifyMutation } from '../graphql/graphql.js'
import { type ConnectClient, createReceiver } from './client.js'
import { readEventStream } from './event-stream.js'

async function single<Data>(
  client: Client,
  query: string,
  variables: Record<string, unknown> = {},
): Promise<Data | undefined> {
  for await (const result of client.iterate<Data>({ query, variables })) return result.data ?? undefined
  return undefined
}

/** Distinct mode: one request for each operation of any kind. */
export const graphqlSse: ConnectClient = (url, fetchFn = fetch) => {
  const client = createClient({ url: `${url}/graphql`, singleConnection: false, fetchFn })
  return {
    subscribe(name) {
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
    },
    channels: async () => (await single<ListenableQuery>(client, print(listenable)))?.channels,
    notify: async (channel, payload) =>
      (await single<SendNotifyMutation>(client, print(sendNotify), { channel, payload }))?.notify,
    close: () => client.dispose(),
  }
}

/** `fetch` and the rules of EventSource, as in a page without a library. */
export const plainFetch: ConnectClient = (url, fetchFn = fetch) => {
  const all = new AbortController()
  async function post<Data>(query: string, variables: Record<string, unknown> = {}) {
    const response = await fetchFn(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query, variables }),
    })
    return ((await response.json()) as { data?: Data }).data
  }
  return {
    subscribe(name) {
      const { received, result, error, end } = createReceiver()
      const left = new AbortController()
      const search = new URLSearchParams({ query: print(channelEvents), variables: JSON.stringify({ name }) })
      const read = async () => {
        const response = await fetchFn(`${url}/graphql?${search}`, {
          headers: { accept: 'text/event-stream' }, // The Accept header of an EventSource.
          signal: AbortSignal.any([left.signal, all.signal]),
        })
        for await (const { type, data } of readEventStream(response)) {
          if (type === 'next') result(JSON.parse(data))
          if (type === 'complete') return end()
        }
        throw new Error('the stream ended without "complete"')
      }
      void read().catch(reason => {
        if (!left.signal.aborted && !all.signal.aborted) error(reason)
        end()
      })
      return { ...received, unsubscribe: () => left.abort() }
    },
    channels: async () => (await post<ListenableQuery>(print(listenable)))?.channels,
    notify: async (channel, payload) =>
      (await post<SendNotifyMutation>(print(sendNotify), { channel, payload }))?.notify,
    close: () => all.abort(),
  }
}
