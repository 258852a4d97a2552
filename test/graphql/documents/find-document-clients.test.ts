import { createHash } from 'node:crypto'
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from '@apollo/client/core'
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries'
import { GraphQLWsLink } from '@apollo/client/link/subscriptions'
import { Client, fetchExchange, subscriptionExchange } from '@urql/core'
import { persistedExchange } from '@urql/exchange-persisted'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { pipe, subscribe as subscribeSource } from 'wonka'
import { createServer, type ListenqlServer } from '../../../src/index.js'
import { LISTEN, LISTENABLE, type Listened, SEND } from '../../support/channel-documents.js'
import { Inbox } from '../../support/inbox.js'
import { createObserved } from '../../support/observed.js'
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js'
import { openGraphql, post, send } from '../../support/raw.js'
import { createWsClient } from '../../support/real-clients/graphql-ws.js'

const { observe, until } = createObserved()
let database: TestDatabase
let server: ListenqlServer

beforeAll(async () => {
  database = await createTestDatabase()
  server = await createServer({
    databaseUrl: database.url,
    port: 0,
    logLevel: 'silent',
    publish: ['*'],
    observe,
  })
})
afterAll(async () => {
  await server?.close()
  await database?.close()
})

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const extensions = { persistedQuery: { version: 1, sha256Hash: sha256('{ channels }') } }
const ERROR = {
  message: 'PersistedQueryNotSupported',
  extensions: { code: 'PERSISTED_QUERY_NOT_SUPPORTED', hint: expect.stringContaining('send "query"') },
}

// The first request of clients: a hash and no document.
describe('a hash without a document is answered so that clients send the document', () => {
  const get = `/graphql?${new URLSearchParams({ extensions: JSON.stringify(extensions) })}`

  it.each([
    ['application/json', 200],
    ['application/graphql-response+json', 400],
    ['*/*', 200],
    ['application/graphql-response+json,application/json;q=0.9', 400],
    ['multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/graphql-response+json', 400],
    ['multipart/mixed;subscriptionSpec=1.0', 400],
  ])('as JSON, accepting %s: %d', async (accept, status) => {
    for (const answer of [
      await post(server.url, { extensions }, { accept }),
      await post(server.url, { extensions, query: null, operationName: 'A', variables: {} }, { accept }),
      await post(server.url, { extensions, query: '' }, { accept }),
      await send(server.url, { path: get, headers: { accept } }),
    ]) {
      expect(answer.status).toBe(status)
      expect(JSON.parse(answer.body)).toEqual({ errors: [ERROR] })
      // A cached answer would also answer the later request with the document.
      expect(answer.headers['cache-control']).toBe('no-store')
    }
  })

  it('as an event, accepting SSE', async () => {
    const headers = { accept: 'text/event-stream' }
    for (const answer of [
      await post(server.url, { extensions }, headers),
      await send(server.url, { path: get, headers }),
    ]) {
      expect(answer.status).toBe(200)
      expect(answer.body).toMatch(
        /event: next\ndata: \{"errors":\[.*PersistedQueryNotSupported.*\n\nevent: complete\n/,
      )
    }
  })

  it('as an error of the operation over graphql-ws, whose socket stays open', async () => {
    const socket = await openGraphql(server.url)
    cleanUps.push(() => socket.webSocket.terminate())
    for (const payload of [{ extensions }, { extensions, query: null }, { extensions, query: '' }]) {
      socket.send({ type: 'subscribe', id: '1', payload })
      expect(await socket.next()).toEqual({ type: 'error', id: '1', payload: [ERROR] })
    }
    socket.send({ type: 'subscribe', id: '1', payload: { query: '{ channels }', extensions } })
    expect(await socket.next()).toMatchObject({ type: 'next', payload: { data: { channels: ['*'] } } })
  })

  it('only if there is a hash', async () => {
    for (const body of [
      {},
      { extensions: {} },
      { extensions: { persistedQuery: null } },
      { extensions: { persistedQuery: 'x' } },
    ]) {
      const answer = await post(server.url, body)
      expect(answer.status).toBe(400)
      expect(answer.body).toContain('no \\"query\\"')
      const socket = await openGraphql(server.url)
      socket.send({ type: 'subscribe', id: '1', payload: body })
      expect(await socket.closed).toMatchObject({ code: 4400 })
    }
    const early = await openGraphql(server.url, { init: false })
    early.send({ type: 'subscribe', id: '1', payload: { extensions } })
    expect(await early.closed).toMatchObject({ code: 4401 })
  })

  it('and a document with a hash is executed', async () => {
    const answer = await post(server.url, { query: '{ channels }', extensions })
    expect(JSON.parse(answer.body)).toEqual({ data: { channels: ['*'] } })
  })
})

/** Fetches, and records what was sent. */
function watchedFetch() {
  const sent: string[] = []
  const watched: typeof fetch = (input, init) => {
    sent.push(
      `${init?.method ?? 'GET'} ${/"?query"?[:=]/.test(`${input}${init?.body ?? ''}`) ? 'document' : 'hash'}`,
    )
    return fetch(input, init)
  }
  return { sent, fetch: watched }
}

const notify = (channel: string) => database.query(`select pg_notify($1, 'by SQL')`, [channel])

describe("Apollo's PersistedQueryLink", () => {
  function connect(useGETForHashedQueries: boolean, last?: ApolloLink) {
    const watched = watchedFetch()
    const http = new HttpLink({ uri: `${server.url}/graphql`, fetch: watched.fetch })
    const persisted = new PersistedQueryLink({ sha256, useGETForHashedQueries })
    const client = new ApolloClient({
      link: ApolloLink.from([persisted, last ?? http]),
      cache: new InMemoryCache(),
    })
    cleanUps.push(() => client.stop())
    return { client, sent: watched.sent }
  }

  it.each([false, true])('queries, mutates and subscribes over HTTP (hashes by GET: %s)', async byGet => {
    const channel = `apollo ${byGet}`
    const { client, sent } = connect(byGet)
    const { data } = await client.query({ query: LISTENABLE })
    expect(data).toEqual({ channels: ['*'] })
    expect(sent[0]).toBe(byGet ? 'GET hash' : 'POST hash')
    expect(sent.slice(1)).toEqual([expect.stringContaining('document')])

    const received = new Inbox<string>()
    const subscription = client
      .subscribe<Listened>({ query: LISTEN, variables: { channel } })
      .subscribe(({ data, error }) => received.push(error ? String(error) : `${data?.channel.payload}`))
    cleanUps.push(() => subscription.unsubscribe())
    await until('subscriber.joined', { topic: channel })
    await notify(channel)
    expect(await received.next()).toBe('by SQL')
    expect((await client.mutate({ mutation: SEND, variables: { channel } })).data).toEqual({ notify: true })
    expect(await received.next()).toBe('sent')
    expect(sent.slice(1)).not.toContainEqual(expect.stringContaining('hash')) // it has learned
  })

  it('can begin with a subscription', async () => {
    const { client, sent } = connect(false)
    const received = new Inbox<string>()
    const subscription = client
      .subscribe<Listened>({ query: LISTEN, variables: { channel: 'apollo first' } })
      .subscribe(({ data, error }) => received.push(error ? String(error) : `${data?.channel.payload}`))
    cleanUps.push(() => subscription.unsubscribe())
    await until('subscriber.joined', { topic: 'apollo first' })
    await notify('apollo first')
    expect(await received.next()).toBe('by SQL')
    expect(sent).toEqual(['POST hash', 'POST document'])
  })

  it('works in front of a GraphQLWsLink', async () => {
    const ws = createWsClient(server.url)
    cleanUps.push(() => ws.dispose())
    const { client } = connect(false, new GraphQLWsLink(ws))
    expect((await client.query({ query: LISTENABLE })).data).toEqual({ channels: ['*'] })
  })
})

describe("urql's persistedExchange", () => {
  function connect(overWebSocket: boolean, preferGet: boolean) {
    const watched = watchedFetch()
    const exchanges = [
      persistedExchange({
        preferGetForPersistedQueries: preferGet,
        enableForMutation: true,
        enableForSubscriptions: true,
        generateHash: async text => sha256(text),
      }),
    ]
    if (overWebSocket) {
      const ws = createWsClient(server.url)
      cleanUps.push(() => ws.dispose())
      exchanges.push(
        subscriptionExchange({
          enableAllOperations: true,
          // As in its documentation; the query is absent if there is a hash.
          forwardSubscription: request => ({
            subscribe: sink => ({
              unsubscribe: ws.subscribe({ ...request, query: request.query ?? '' }, sink),
            }),
          }),
        }),
      )
    }
    exchanges.push(fetchExchange)
    const client = new Client({
      url: `${server.url}/graphql`,
      exchanges,
      fetchSubscriptions: !overWebSocket,
      fetch: watched.fetch,
      preferGetMethod: false,
    })
    return { client, sent: watched.sent }
  }

  it.each([
    [false, false],
    [false, true],
    [true, false],
  ])(
    'queries, mutates and subscribes (over WebSocket: %s, hashes by GET: %s)',
    async (overWebSocket, preferGet) => {
      const channel = `urql ${overWebSocket} ${preferGet}`
      const { client, sent } = connect(overWebSocket, preferGet)
      const listenable = await client.query(LISTENABLE, {}).toPromise()
      expect(listenable.error).toBeUndefined()
      expect(listenable.data).toEqual({ channels: ['*'] })
      if (!overWebSocket) {
        expect(sent[0]).toBe(preferGet ? 'GET hash' : 'POST hash')
        expect(sent.slice(1)).toEqual([expect.stringContaining('document')])
      }
      const received = new Inbox<string>()
      const { unsubscribe } = pipe(
        client.subscription<Listened>(LISTEN, { channel }),
        subscribeSource(({ data, error }) =>
          received.push(error ? String(error) : `${data?.channel.payload}`),
        ),
      )
      cleanUps.push(unsubscribe)
      await until('subscriber.joined', { topic: channel })
      await notify(channel)
      expect(await received.next()).toBe('by SQL')
      expect((await client.mutation(SEND, { channel }).toPromise()).data).toEqual({ notify: true })
      expect(await received.next()).toBe('sent')
    },
  )

  it.each([false, true])('can begin with a subscription (over WebSocket: %s)', async overWebSocket => {
    const channel = `urql first ${overWebSocket}`
    const { client } = connect(overWebSocket, false)
    const received = new Inbox<string>()
    const { unsubscribe } = pipe(
      client.subscription<Listened>(LISTEN, { channel }),
      subscribeSource(({ data, error }) => received.push(error ? String(error) : `${data?.channel.payload}`)),
    )
    cleanUps.push(unsubscribe)
    await until('subscriber.joined', { topic: channel })
    await notify(channel)
    expect(await received.next()).toBe('by SQL')
  })
})
