import { print } from 'graphql'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createServer, type ListenqlServer } from '../../../src/index.js'
import { channelEvents } from '../../support/documents.js'
import { Inbox } from '../../support/inbox.js'
import { createObserved } from '../../support/observed.js'
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js'
import { apolloHttp } from '../../support/real-clients/apollo.js'
import type { ConnectClient } from '../../support/real-clients/client.js'
import { readEventStream } from '../../support/real-clients/event-stream.js'
import { graphqlWs } from '../../support/real-clients/graphql-ws.js'
import { graphqlSse, plainFetch } from '../../support/real-clients/sse.js'
import { urqlFetch } from '../../support/real-clients/urql.js'

const { observe, until, all } = createObserved()
let database: TestDatabase
let server: ListenqlServer

beforeAll(async () => {
  database = await createTestDatabase()
  server = await createServer({
    databaseUrl: database.url,
    port: 0,
    logLevel: 'silent',
    keepAlive: 100,
    observe,
  })
})
afterAll(async () => {
  await server?.close()
  await database?.close()
})

const notify = (channel: string, payload: string) =>
  database.query('select pg_notify($1, $2)', [channel, payload])

/** A `fetch` that passes each chunk of its responses on, and to the test as well. */
function createWiretap() {
  const chunks = new Inbox<string>()
  const wiretap: typeof fetch = async (input, init) => {
    const response = await fetch(input, init)
    const decoder = new TextDecoder()
    const tap = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        controller.enqueue(chunk)
        chunks.push(decoder.decode(chunk, { stream: true }))
      },
    })
    return new Response(response.body?.pipeThrough(tap) ?? null, response)
  }
  return { chunks, wiretap }
}

describe('keep-alives do not disturb', () => {
  const HEARTBEAT = '\r\ncontent-type: application/json\r\n\r\n{}\r\n--graphql'
  const clients: [string, ConnectClient, string][] = [
    ['Apollo Client over HTTP', apolloHttp, HEARTBEAT],
    ['urql over fetch', urqlFetch, ':\n\n'],
    ['graphql-sse', graphqlSse, ':\n\n'],
    ['a plain fetch', plainFetch, ':\n\n'],
  ]
  it.each(clients)('%s', async (name, connect, keepAlive) => {
    const { chunks, wiretap } = createWiretap()
    const client = connect(server.url, wiretap)
    const { events, errors, unsubscribe } = client.subscribe(name)
    await until('subscriber.joined', { topic: name })
    const several = async () => {
      for (let seen = 0; seen < 3; ) if ((await chunks.next('a keep-alive')) === keepAlive) seen++
    }
    await several()
    expect(events.drain()).toEqual([])
    for (const payload of ['one', 'two']) {
      await notify(name, payload)
      expect(await events.next()).toMatchObject({ channel: name, payload, gap: false })
      await several()
    }
    expect(events.drain()).toEqual([])
    expect(errors.drain()).toEqual([])
    unsubscribe()
    await until('channel.released', { channel: name })
    await client.close()
  })

  it('graphql-ws, whose client answers the pings', async () => {
    const client = graphqlWs(server.url)
    const { events, errors, unsubscribe } = client.subscribe('pinged')
    await until('subscriber.joined', { topic: 'pinged' })
    const { chunks, wiretap } = createWiretap()
    const clock = plainFetch(server.url, wiretap).subscribe('clock') // three keep-alives are three pings
    for (let seen = 0; seen < 4; seen++) await chunks.next('a keep-alive')
    clock.unsubscribe()
    await notify('pinged', 'still here')
    expect(await events.next()).toMatchObject({ payload: 'still here' })
    expect(errors.drain()).toEqual([])
    expect(all('subscriber.joined', { topic: 'pinged' })).toHaveLength(1) // the client was not dropped and did not reconnect
    unsubscribe()
    await client.close()
  })
})

describe('on the wire', () => {
  async function open(accept: string, channel: string) {
    const left = new AbortController()
    const response = await fetch(`${server.url}/graphql`, {
      method: 'POST',
      headers: { accept, 'content-type': 'application/json' },
      body: JSON.stringify({ query: print(channelEvents), variables: { name: channel } }),
      signal: left.signal,
    })
    return { response, leave: () => left.abort() }
  }

  it('each part of multipart ends with its delimiter, and does not wait for the next part', async () => {
    const { response, leave } = await open('multipart/mixed;boundary="graphql";subscriptionSpec=1.0', 'parts')
    expect(response.headers.get('content-type')).toBe(
      'multipart/mixed;boundary="graphql";subscriptionSpec=1.0',
    )
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    const readTo = async (delimiters: number) => {
      while (text.split('\r\n--graphql').length <= delimiters) text += (await reader.read()).value ?? ''
      return text
    }
    await readTo(1)
    const payloads = []
    for (const payload of ['one', 'two', 'three']) {
      await notify('parts', payload)
      // The event has arrived with its delimiter, although the next one has not been sent.
      while (!text.includes(`"payload":"${payload}"`)) await readTo(text.split('\r\n--graphql').length)
      expect(text.endsWith('\r\n--graphql')).toBe(true)
      payloads.push(payload)
    }
    const parts = text.split('\r\n--graphql').slice(1, -1)
    const bodies = parts.map(part => {
      const [head, body] = part.split('\r\n\r\n')
      expect(head).toBe('\r\ncontent-type: application/json')
      return JSON.parse(body ?? '') as { payload?: { data: { channel: { payload: string } } } }
    })
    const events = bodies.filter(body => Object.keys(body).length > 0)
    expect(events.map(body => body.payload?.data.channel.payload)).toEqual(payloads)
    leave()
  })

  it('SSE delivers `next` events to an EventSource, and is cut without `complete` when the server stops', async () => {
    const stopping = await createServer({ databaseUrl: database.url, port: 0, logLevel: 'silent' })
    const query = new URLSearchParams({
      query: print(channelEvents),
      variables: '{"name":"events"}',
      operationName: 'ChannelEvents',
    })
    const response = await fetch(`${stopping.url}/graphql?${query}`, {
      headers: { accept: 'text/event-stream' },
    })
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    expect(response.headers.get('cache-control')).toBe('no-cache, no-transform')
    const [forText, forEvents] = response.body!.tee()
    const text = untilCut(forText)
    const events = readEventStream(new Response(forEvents, response))
    await notify('events', 'Grüße 🐘')
    const { value } = await events.next()
    expect(value).toMatchObject({ type: 'next', lastEventId: '' })
    expect(JSON.parse(value?.data ?? '')).toMatchObject({ data: { channel: { payload: 'Grüße 🐘' } } })
    await stopping.close()
    await expect(events.next()).rejects.toThrow('terminated')
    expect(await text).toBe(
      `retry: 1000\n\nevent: next\ndata: ${value?.data}\n\n: SERVER_STOPPING The server is stopping.\n\n`,
    )
  })

  it('an SSE parser drops `complete` without its data line, as a browser does', async () => {
    const stream = (text: string) =>
      new Response(text, { headers: { 'content-type': 'text/event-stream; charset=utf-8' } })
    const read = async (text: string) => {
      const types = []
      for await (const { type } of readEventStream(stream(text))) types.push(type)
      return types
    }
    expect(await read('event: complete\n\n')).toEqual([])
    expect(await read('event: complete\ndata:\n\n')).toEqual(['complete'])
  })

  it.each([
    ['text/event-stream', 'event: next\ndata: {"data":{"channels":["*"]}}\n\nevent: complete\ndata:\n\n'],
    [
      'multipart/mixed;subscriptionSpec=1.0',
      '\r\ncontent-type: application/json\r\n\r\n{"payload":{"data":{"channels":["*"]}}}\r\n--graphql--\r\n',
    ],
  ])('a query as %s is one result and the end', async (accept, expected) => {
    const response = await fetch(`${server.url}/graphql`, {
      method: 'POST',
      headers: { accept, 'content-type': 'application/json' },
      body: JSON.stringify({ query: '{ channels }' }),
    })
    expect((await response.text()).endsWith(expected)).toBe(true)
  })
})

/** What arrived before the connection was cut; rejects if the connection ended in any other way. */
async function untilCut(body: ReadableStream<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  try {
    for await (const chunk of body) chunks.push(chunk)
  } catch {
    return Buffer.concat(chunks).toString()
  }
  throw new Error('the response looked whole')
}
