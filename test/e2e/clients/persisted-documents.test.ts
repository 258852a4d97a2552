import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from '@apollo/client/core'
import { createPersistedQueryLink } from '@apollo/client/link/persisted-queries'
import { GraphQLWsLink } from '@apollo/client/link/subscriptions'
import { addTypenameToDocument } from '@apollo/client/utilities'
import { Client, fetchExchange, subscriptionExchange } from '@urql/core'
import { persistedExchange } from '@urql/exchange-persisted'
import { type DocumentNode, type OperationDefinitionNode, print } from 'graphql'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { pipe, subscribe as subscribeSource } from 'wonka'
import { WebSocket } from 'ws'
import { createClient } from '../../../src/client/index.js'
import { sha256Of } from '../../../src/graphql/documents/trusted-documents.js'
import { createServer, type ListenqlServer, type ServerOptions } from '../../../src/index.js'
import { LISTEN, LISTENABLE, type Listened, SEND } from '../../support/channel-documents.js'
import { Inbox } from '../../support/inbox.js'
import { createObserved, type Observed } from '../../support/observed.js'
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js'
import { createWsClient } from '../../support/real-clients/graphql-ws.js'

let database: TestDatabase
let server: ListenqlServer
let observed: Observed
let isTrusted = false
const folder = mkdtempSync(join(tmpdir(), 'listenql-persisted-'))
const file = join(folder, 'persisted-documents.json')
// Apollo Client and urql add `__typename`, and hash the documents that they send.
const documents = [LISTENABLE, SEND, addTypenameToDocument(LISTEN), LISTEN].map(one => print(one))
writeFileSync(file, JSON.stringify({ ...documents }))
const cleanUps: (() => unknown)[] = []
beforeAll(async () => {
  database = await createTestDatabase()
})
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})
afterAll(async () => {
  await database?.close()
  rmSync(folder, { recursive: true })
})

async function start(options: ServerOptions): Promise<void> {
  observed = createObserved()
  isTrusted = options.trustedDocuments !== undefined
  const { observe } = observed
  server = await createServer({
    databaseUrl: database.url,
    port: 0,
    logLevel: 'silent',
    publish: ['*'],
    ...options,
    observe,
  })
  cleanUps.push(() => server.close())
}

/** Fetches, and records whether the document or its hash was sent. */
function watchedFetch() {
  const sent: string[] = []
  const watched: typeof fetch = (input, init) => {
    sent.push(/"?query"?[:=]/.test(`${input}${init?.body ?? ''}`) ? 'document' : 'hash')
    return fetch(input, init)
  }
  return { sent, fetch: watched }
}

/** What the three kinds of operations gave. */
interface App {
  readonly sent: string[]
  query(): Promise<unknown>
  send(channel: string): Promise<unknown>
  listen(channel: string): Inbox<string>
}

function apollo(useGETForHashedQueries: boolean, overWebSocket: boolean): App {
  const watched = watchedFetch()
  const ws = createWsClient(server.url)
  cleanUps.push(() => ws.dispose())
  const last = overWebSocket
    ? new GraphQLWsLink(ws)
    : new HttpLink({ uri: `${server.url}/graphql`, fetch: watched.fetch })
  const persisted = createPersistedQueryLink({ sha256: sha256Of, useGETForHashedQueries })
  const client = new ApolloClient({ link: ApolloLink.from([persisted, last]), cache: new InMemoryCache() })
  cleanUps.push(() => client.stop())
  return {
    sent: watched.sent,
    query: async () => (await client.query({ query: LISTENABLE, fetchPolicy: 'no-cache' })).data,
    send: async channel => (await client.mutate({ mutation: SEND, variables: { channel } })).data,
    listen(channel) {
      const received = new Inbox<string>()
      const subscription = client
        .subscribe<Listened>({ query: LISTEN, variables: { channel } })
        .subscribe(({ data, error }) => received.push(error ? String(error) : `${data?.channel.payload}`))
      cleanUps.push(() => subscription.unsubscribe())
      return received
    },
  }
}

const keyOf = ({ definitions: [first] }: DocumentNode) =>
  `${['Listenable', 'Send', '', 'Listen'].indexOf((first as OperationDefinitionNode).name?.value ?? '?')}`

function urql(preferGet: boolean, overWebSocket: boolean): App {
  const watched = watchedFetch()
  const ws = createWsClient(server.url)
  cleanUps.push(() => ws.dispose())
  const client = new Client({
    url: `${server.url}/graphql`,
    exchanges: [
      persistedExchange({
        preferGetForPersistedQueries: preferGet,
        enableForMutation: true,
        enableForSubscriptions: true,
        // urql hashes the source as it is written; GraphQL Code Generator gives each document the key of its file.
        generateHash: async (text, document) => (isTrusted ? keyOf(document) : sha256Of(text)),
      }),
      ...(overWebSocket
        ? [
            subscriptionExchange({
              enableAllOperations: true,
              forwardSubscription: request => {
                watched.sent.push(request.query ? 'document' : 'hash')
                return {
                  subscribe: sink => ({
                    unsubscribe: ws.subscribe({ ...request, query: request.query ?? '' }, sink),
                  }),
                }
              },
            }),
          ]
        : []),
      fetchExchange,
    ],
    fetchSubscriptions: !overWebSocket,
    fetch: watched.fetch,
    preferGetMethod: false,
  })
  const dataOf = ({ data, error }: { data?: unknown; error?: Error | undefined }) => {
    if (error) throw error
    return data
  }
  return {
    sent: watched.sent,
    query: async () => dataOf(await client.query(LISTENABLE, {}).toPromise()),
    send: async channel => dataOf(await client.mutation(SEND, { channel }).toPromise()),
    listen(channel) {
      const received = new Inbox<string>()
      const { unsubscribe } = pipe(
        client.subscription<Listened>(LISTEN, { channel }),
        subscribeSource(({ data, error }) =>
          received.push(error ? String(error) : `${data?.channel.payload}`),
        ),
      )
      cleanUps.push(unsubscribe)
      return received
    },
  }
}

/** Subscribes first, then queries and mutates. */
async function use(app: App, channel: string): Promise<void> {
  const count = observed.all('subscriber.joined', { topic: channel }).length + 1
  const received = app.listen(channel)
  await observed.until('subscriber.joined', { topic: channel }, count)
  expect(await app.query()).toEqual({ channels: ['*'] })
  expect(await app.send(channel)).toEqual({ notify: true })
  expect(await received.next()).toBe('sent')
}

describe.each<[string, () => App, boolean]>([
  ['Apollo Client, hashes by POST', () => apollo(false, false), true],
  ['Apollo Client, hashes by GET', () => apollo(true, false), true],
  // Apollo's GraphQLWsLink sends the document with each hash.
  ['Apollo Client over graphql-ws', () => apollo(false, true), false],
  ['urql, hashes by POST', () => urql(false, false), true],
  ['urql, hashes by GET', () => urql(true, false), true],
  ['urql over graphql-ws', () => urql(false, true), true],
])('%s', (name, connect, sendsHashes) => {
  it('registers its documents, and the next client sends hashes only', async () => {
    await start({ persistedQueries: 10 })
    const first = connect()
    await use(first, `${name} 1`)
    if (sendsHashes) expect(first.sent).toEqual(expect.arrayContaining(['hash', 'document']))
    const second = connect()
    await use(second, `${name} 2`)
    expect(second.sent).not.toContain('document')
  })

  it('registers a document again that the server has forgotten', async () => {
    await start({ persistedQueries: 1 })
    const app = connect()
    await use(app, `${name} 3`)
    await use(app, `${name} 4`)
  })

  it('needs no document where the operator trusts them, and nothing else runs', async () => {
    await start({ trustedDocuments: file, trustedDocumentsOnly: true })
    const app = connect()
    await use(app, `${name} 5`)
    expect(app.sent).not.toContain('document')
  })
})

describe('clients that send ids', () => {
  it('graphql-ws subscribes with the id in place of the document, and an unknown id ends that operation only', async () => {
    await start({ trustedDocuments: file, trustedDocumentsOnly: true })
    const ws = createWsClient(server.url)
    cleanUps.push(() => ws.dispose())
    const received = new Inbox<unknown>()
    const subscribe = (documentId: string, variables: Record<string, unknown>) => {
      const payload = { query: '', documentId, variables }
      ws.subscribe(payload, { next: received.push, error: received.push, complete: () => undefined })
    }
    subscribe('3', { channel: 'ids' })
    await observed.until('subscriber.joined', { topic: 'ids' })
    subscribe('4', {})
    expect(await received.next()).toMatchObject([{ extensions: { code: 'DOCUMENT_NOT_TRUSTED' } }])
    await database.query(`notify ids, 'after the refusal'`)
    expect(await received.next()).toMatchObject({ data: { channel: { payload: 'after the refusal' } } })
  })

  it('fetch, in the way of Relay and in that of GraphQL over HTTP', async () => {
    await start({ trustedDocuments: file, trustedDocumentsOnly: true })
    for (const body of [{ doc_id: '0', variables: {} }, { id: '0' }, { documentId: '0' }]) {
      const answer = await fetch(`${server.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
      expect(await answer.json()).toEqual({ data: { channels: ['*'] } })
    }
    const answer = await fetch(`${server.url}/graphql?documentId=0`, {
      headers: { accept: 'application/json' },
    })
    expect(await answer.json()).toEqual({ data: { channels: ['*'] } })
  })

  it('listenql/client sends documents in a layout of its own, which are trusted, too', async () => {
    await start({ trustedDocuments: file, trustedDocumentsOnly: true })
    const client = createClient({
      url: `${server.url.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
    })
    cleanUps.push(() => client.dispose())
    const received = new Inbox<unknown>()
    const query = print(LISTEN).replaceAll(/\s+/g, ' ')
    client.subscribe(
      { query, variables: { channel: 'own' } },
      { next: received.push, error: received.push, complete: () => undefined },
    )
    await observed.until('subscriber.joined', { topic: 'own' })
    await database.query(`notify own, 'hello'`)
    expect(await received.next()).toMatchObject({ data: { channel: { payload: 'hello' } } })
  })
})
