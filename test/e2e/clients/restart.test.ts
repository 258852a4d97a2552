import { afterEach, describe, expect, it } from 'vitest'
import { createServer, type ListenqlServer } from '../../../src/index.js'
import { createObserved, type Observed } from '../../support/observed.js'
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js'
import { apolloHttp, apolloHttpRetry, apolloWs } from '../../support/real-clients/apollo.js'
import type { RealClient } from '../../support/real-clients/client.js'
import { graphqlWs } from '../../support/real-clients/graphql-ws.js'
import { graphqlSse, plainFetch } from '../../support/real-clients/sse.js'
import { urqlFetch, urqlWs } from '../../support/real-clients/urql.js'

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
  it('clients over WebSocket, with the default retries of graphql-ws, are subscribed again', async () => {
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

  // As they are, without the set-up of docs/clients.md: no client may take the stop for the end of the
  // subscription.
  it('clients over HTTP reconnect by themselves, or receive the reason for the end of the stream', async () => {
    const { database, notify } = await createDatabase()
    const first = await start(database)
    const clients = {
      'Apollo Client': apolloHttp(first.url),
      urql: urqlFetch(first.url),
      'graphql-sse': graphqlSse(first.url),
      RetryLink: apolloHttpRetry(first.url),
      'plain fetch': plainFetch(first.url),
    }
    const subscriptions: Record<string, Awaited<ReturnType<typeof listen>>> = {}
    for (const [channel, client] of Object.entries(clients)) {
      const subscription = await listen(client, first, channel)
      await notify(channel, 'before')
      expect(await subscription.events.next()).toMatchObject({ payload: 'before' })
      subscriptions[channel] = subscription
    }

    await first.close()
    const second = await start(database, first.port)
    const { 'graphql-sse': sse, RetryLink: retrying, ...ending } = subscriptions
    for (const [channel, returning] of Object.entries({ 'graphql-sse': sse, RetryLink: retrying })) {
      await second.until('subscriber.joined', { topic: channel })
      await notify(channel, 'after')
      expect(await returning?.events.next()).toMatchObject({ payload: 'after' })
      expect(returning?.errors.drain()).toEqual([])
    }

    const reported: Record<string, unknown> = {}
    for (const [name, { ended, events, errors }] of Object.entries(ending)) {
      await ended
      reported[name] = errors.drain()
      expect(events.drain()).toEqual([])
    }
    expect(reported).toEqual({
      'Apollo Client': [{ code: 'SERVER_STOPPING', message: 'The server is stopping.' }],
      urql: [{ message: expect.stringContaining('[Network]') }],
      'plain fetch': [{ message: 'terminated' }],
    })
    for (const channel of Object.keys(reported)) {
      const { events } = await listen(clients[channel as keyof typeof clients], second, channel)
      await notify(channel, 'after')
      expect(await events.next()).toMatchObject({ payload: 'after' })
    }
  })
})
