import { afterEach, describe, expect, it } from 'vitest'
import { createServer, type ListenqlServer } from '../../src/index.js'
import { createObserved, type Observed } from '../support/observed.js'
import { createTestDatabase, type TestDatabase } from '../support/postgres.js'
import { apolloHttp, apolloWs } from '../support/real-clients/apollo.js'
import type { RealClient } from '../support/real-clients/client.js'
import { graphqlWs } from '../support/real-clients/graphql-ws.js'
import { graphqlSse, plainFetch } from '../support/real-clients/sse.js'
import { urqlFetch, urqlWs } from '../support/real-clients/urql.js'

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

async function start(database: TestDatabase, port = 0): Promise<ListenqlServer & Observed> {
  const observed = createObserved()
  const server = await createServer({
    databaseUrl: database.url,
    port,
    logLevel: 'silent',
    observe: observed.observe,
  })
  cleanUps.push(() => server.close())
  return { ...server, ...observed }
}

async function listen(client: RealClient, server: Observed, channel: string) {
  cleanUps.push(() => client.close())
  const subscription = client.subscribe(channel)
  await server.until('subscriber.joined', { topic: channel })
  return { ...subscription, channel }
}

async function createDatabase() {
  const database = await createTestDatabase()
  cleanUps.push(() => database.close())
  const notify = (channel: string, payload: string) =>
    database.query('select pg_notify($1, $2)', [channel, payload])
  return { database, notify }
}

describe('after a restart of the server', () => {
  it('clients over WebSocket, with the retries that graphql-ws has by default, are subscribed again', async () => {
    const { database, notify } = await createDatabase()
    const first = await start(database)
    const subscriptions = [
      await listen(graphqlWs(first.url), first, 'graphql-ws'),
      await listen(apolloWs(first.url), first, 'Apollo Client'),
      await listen(urqlWs(first.url), first, 'urql'),
    ]
    for (const { channel, events } of subscriptions) {
      await notify(channel, 'before')
      expect(await events.next()).toMatchObject({ payload: 'before' })
    }

    await first.close()
    const second = await start(database, first.port)
    for (const { channel } of subscriptions) await second.until('subscriber.joined', { topic: channel })
    for (const { channel, events, errors, unsubscribe } of subscriptions) {
      await notify(channel, 'after')
      expect(await events.next()).toMatchObject({ payload: 'after', gap: false })
      expect(errors.drain()).toEqual([])
      unsubscribe()
      await second.until('channel.released', { channel })
    }
  })

  // Streams over HTTP end with a proper goodbye, and none of these libraries takes up again what has ended.
  it('clients over HTTP are told that the stream is complete, and may subscribe again', async () => {
    const { database, notify } = await createDatabase()
    const first = await start(database)
    const clients = {
      'Apollo Client': apolloHttp(first.url),
      urql: urqlFetch(first.url),
      'graphql-sse': graphqlSse(first.url),
      'plain fetch': plainFetch(first.url),
    }
    const subscriptions = []
    for (const [channel, client] of Object.entries(clients)) {
      const subscription = await listen(client, first, channel)
      await notify(channel, 'before')
      expect(await subscription.events.next()).toMatchObject({ payload: 'before' })
      subscriptions.push(subscription)
    }

    await first.close()
    for (const { ended, events, errors } of subscriptions) {
      await ended
      expect(errors.drain()).toEqual([])
      expect(events.drain()).toEqual([])
    }
    const second = await start(database, first.port)
    for (const [channel, client] of Object.entries(clients)) {
      const { events } = await listen(client, second, channel)
      await notify(channel, 'after')
      expect(await events.next()).toMatchObject({ payload: 'after' })
    }
  })
})
