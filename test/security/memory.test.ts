import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { ServerOptions } from '../../src/index.js'
import { createLog, type TestLog } from '../support/log.js'
import {
  channelQuery,
  exchange,
  frame,
  handshake,
  openConnection,
  openGraphql,
  openWebSocket,
  post,
  type RawConnection,
  type RawGraphql,
  send,
} from '../support/raw.js'
import { waitUntil } from '../support/wait.js'
import { startWitnessed, type WitnessedServer } from '../support/witness.js'

// Limits on the memory of all clients together. Every server has a healthy subscriber on each transport, which must not be affected.

const MiB = 2 ** 20

let log: TestLog
let server: WitnessedServer | undefined
beforeAll(async () => {
  log = await createLog()
  await log.query('create table documents (id int primary key, body text)')
  await log.query(`insert into documents select i, repeat('x', ${MiB}) from generate_series(1, 24) i`)
  await log.watch('documents')
})
afterEach(async () => {
  await server?.expectHealthy()
  await server?.expectNothingLeft()
  await server?.close()
  server = undefined
})
afterAll(() => log?.close())

async function start(options: ServerOptions): Promise<WitnessedServer> {
  server = await startWitnessed(log.database, { catalogInterval: 50, ...options })
  return server
}

const exceeded = { code: 'LIMIT_EXCEEDED', limit: 'maxClientMemory' }

/** A document with that many times twelve tokens. */
const dense = (channel: string, fields: number) =>
  `subscription { channel(name: "${channel}") { ${'payload @include(if: true) @skip(if: false) '.repeat(fields)} } }`

async function subscribe(client: RawGraphql, id: string, payload: object) {
  client.send({ id, type: 'subscribe', payload })
  for (;;) {
    const message = await client.next('an answer')
    if (message.id === id) return message
    const cursors = (message.payload as { cursors?: object } | undefined)?.cursors
    if (cursors && id in cursors) return 'accepted'
  }
}

/** Counts the subscriptions that one client gets before no memory is left for another, and ends them all. */
async function capacityOf(url: string): Promise<number> {
  const client = await openGraphql(url)
  let count = 0
  while ((await subscribe(client, `${count}`, { query: dense(`capacity ${count}`, 20) })) === 'accepted')
    count++
  client.webSocket.terminate()
  await client.closed
  return count
}

describe('documents', () => {
  it('that take too much memory together are refused, until others are gone', async () => {
    const { url } = await start({ maxClientMemory: 8 * MiB })
    const first = await openGraphql(url)
    const second = await openGraphql(url)
    expect(await subscribe(first, '1', { query: dense('a', 300) })).toBe('accepted')
    const answer = await subscribe(second, '1', { query: dense('b', 300) })
    expect(answer).toMatchObject({ type: 'error', payload: [{ extensions: exceeded }] })
    const stream = await post(url, { query: dense('c', 300) }, { accept: 'text/event-stream' })
    expect(stream.body).toContain('"limit":"maxClientMemory"')
    expect(await subscribe(second, '2', { query: channelQuery('small') })).toBe('accepted')
    first.webSocket.terminate()
    await waitUntil(
      async () => (await subscribe(second, '3', { query: dense('b', 300) })) === 'accepted',
      'room',
    )
    second.webSocket.terminate()
  })

  it('keep nothing else that a client sends with them', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const { url } = await start({ maxClientMemory: 1024 * MiB })
    const heap = () => {
      collect()
      return process.memoryUsage().heapUsed
    }
    const before = heap()
    const clients: RawGraphql[] = []
    for (let i = 0; i < 12; i++) {
      const client = await openGraphql(url, { init: false })
      clients.push(client)
      const large = JSON.stringify(Array(330_000).fill({})) // 20 MB in memory
      client.send(`{"type":"connection_init","payload":{"large":${large}}}`)
      expect((await client.next()).type).toBe('connection_ack')
      const query = channelQuery(`beside ${i}`)
      const payload = `{"query":${JSON.stringify(query)},"variables":{"large":${large}}}`
      client.send(`{"id":"1","type":"subscribe","payload":${payload}}`)
      expect((await client.next('acceptance')).type).toBe('ping')
    }
    expect(heap() - before).toBeLessThan(60e6)
    for (const client of clients) client.webSocket.terminate()
  })
})

describe('incomplete input counts', () => {
  it('a WebSocket message', async () => {
    const { url } = await start({ maxClientMemory: 8 * MiB })
    const half = frame(1, 'x'.repeat(MiB)).subarray(0, 0.9 * MiB)
    const open: RawConnection[] = []
    for (let i = 0; i < 3; i++) {
      const connection = await openConnection(url)
      open.push(connection)
      const headers = { 'sec-websocket-protocol': 'graphql-transport-ws' }
      connection.socket.write(handshake(url, i === 1 ? '/listen/half' : '/graphql', i === 1 ? {} : headers))
      await connection.until('\r\n\r\n')
      if (i !== 1) {
        connection.socket.write(frame(1, '{"type":"connection_init"}'))
        await connection.until('connection_ack')
      }
      connection.socket.write(half)
    }
    const texts = await Promise.race(open.map(({ closed }) => closed))
    expect(texts).toContain('LIMIT_EXCEEDED maxClientMemory')
    for (const { socket } of open) socket.destroy()
  })

  it('the body of a request', async () => {
    const { url } = await start({ maxClientMemory: 8 * MiB })
    const half = `POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${MiB}\r\n\r\n${'x'.repeat(0.6 * MiB)}`
    const [first, second] = [await openConnection(url), await openConnection(url)]
    first.socket.write(half)
    second.socket.write(half)
    const refused = await Promise.race([first.closed, second.closed])
    expect(refused).toMatch(/^HTTP\/1.1 503 .*retry-after: 1\r\n.*"maxClientMemory"/is)
    for (const { socket } of [first, second]) socket.destroy()
  })
})

describe('waiting data', () => {
  it('is dropped for the connections that hold most of it, and for no others', async () => {
    const { url } = await start({ maxClientMemory: 24 * MiB, maxBuffer: 1024 * MiB, stallTimeout: 60_000 })
    const lazy = await openGraphql(url)
    await lazy.listen('1', 'much')
    const lesser = await openGraphql(url)
    await lesser.listen('1', 'little')
    for (const { webSocket } of [lazy, lesser]) webSocket.pause()
    await log.query(`select pg_notify('little', g || repeat('x', 7900)) from generate_series(1, 200) g`)
    await waitUntil(async () => {
      await log.query(`select pg_notify('much', g || repeat('x', 7900)) from generate_series(1, 200) g`)
      return (server?.ofType('subscriber.cut').length ?? 0) > 0
    }, 'the cut')
    expect(server?.ofType('subscriber.cut')).toMatchObject([{ reason: 'memory-full' }])
    for (const { webSocket } of [lazy, lesser]) webSocket.resume()
    expect(await lazy.closed).toMatchObject({ code: 1013, reason: expect.stringContaining('memory') })
    expect((await lesser.messages.take(200)).at(-1)).toContain('"200xxx')
    lesser.webSocket.terminate()
    await waitUntil(async () => (await capacityOf(url)) > 20, 'room')
  })

  it('of one large event exists once, however many clients are slow', async () => {
    const { url } = await start({
      ...{ maxClientMemory: 64 * MiB, maxEvent: 8 * MiB, maxBuffer: 64 * MiB, stallTimeout: 60_000 },
    })
    const clients: RawGraphql[] = []
    const streams: RawConnection[] = []
    for (let i = 0; i < 12; i++) {
      const client = await openGraphql(url)
      clients.push(client)
      await client.listen(`a name of ${i} its own`, 'large')
      client.webSocket.pause()
      const stream = await openConnection(url)
      streams.push(stream)
      const target = `/graphql?query=${encodeURIComponent(channelQuery('large'))}`
      stream.socket.write(`GET ${target} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n`)
      await stream.until('id:')
      stream.socket.pause()
    }
    await log.query(`select listenql.publish('large', repeat('x', ${7 * MiB}) || 'end')`)
    await log.query(`select listenql.publish('large', 'after')`)
    for (const { webSocket } of clients) webSocket.resume()
    for (const { socket } of streams) socket.resume()
    for (const [i, client] of clients.entries()) {
      const [large, after] = [await client.next(), await client.next()]
      expect(large).toMatchObject({ id: `a name of ${i} its own`, type: 'next' })
      expect(JSON.stringify(large).length).toBeGreaterThan(7 * MiB)
      expect(after).toMatchObject({ payload: { data: { channel: { payload: 'after' } } } })
      client.webSocket.terminate()
    }
    for (const stream of streams) {
      expect(await stream.until('"after"')).toContain(`${'x'.repeat(7 * MiB)}end`)
      stream.socket.destroy()
    }
    expect(server?.ofType('subscriber.cut')).toEqual([])
  })

  it('of a large event is released when the clients that receive it disconnect', async () => {
    const { url } = await start({ maxClientMemory: 64 * MiB, stallTimeout: 60_000 })
    for (let round = 0; round < 6; round++) {
      const client = await openGraphql(url)
      await client.listen('1', 'large')
      client.webSocket.pause()
      const stream = await openConnection(url)
      const target = `/graphql?query=${encodeURIComponent(channelQuery('large'))}`
      stream.socket.write(`GET ${target} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n`)
      await stream.until('id:')
      stream.socket.pause()
      const witness = await openGraphql(url)
      await witness.listen('1', 'large')
      await log.query(`select listenql.publish('large', repeat('x', ${7 * MiB}))`)
      await witness.next('the event')
      for (const { webSocket } of [client, witness]) webSocket.terminate()
      stream.socket.resetAndDestroy()
      await witness.closed
    }
    await waitUntil(async () => (await capacityOf(url)) > 100, 'room')
    expect(server?.ofType('subscriber.cut')).toEqual([])
  })

  it.each([
    ['JSON', 'application/json'],
    ['SSE', 'text/event-stream'],
  ])(
    'of an answer that its client does not read is dropped after the stall timeout (%s)',
    async (_name, accept) => {
      const { url } = await start({ stallTimeout: 300 })
      const connection = await openConnection(url)
      const target = `/graphql?query=${encodeURIComponent('{ documents { rows { id body } } }')}`
      connection.socket.pause()
      connection.socket.write(`GET ${target} HTTP/1.1\r\nHost: localhost\r\nAccept: ${accept}\r\n\r\n`)
      const end = new Promise<void>(resolve => connection.socket.once('error', () => resolve()))
      // A paused socket does not report its end; writing to it does.
      const timer = setInterval(() => connection.socket.write('x'), 50)
      await end
      clearInterval(timer)
      connection.socket.resume()
      expect((await connection.closed).length).toBeLessThan(24 * MiB)
    },
  )

  it('of an answer without enough memory becomes 503', async () => {
    const { url } = await start({ maxClientMemory: 32 * MiB })
    const target = `/graphql?query=${encodeURIComponent('{ documents { rows { id body } } }')}`
    for (const accept of ['application/json', 'text/event-stream']) {
      const answer = await send(url, { path: target, headers: { accept } })
      expect(answer).toMatchObject({ status: 503, headers: { 'retry-after': '1' } })
      expect(JSON.parse(answer.body)).toMatchObject({ errors: [{ extensions: exceeded }] })
    }
    const small = `/graphql?query=${encodeURIComponent('{ documents(limit: 2) { rows { id body } } }')}`
    expect((await send(url, { path: small })).body.length).toBeGreaterThan(2 * MiB)
  })
})

describe('connections', () => {
  /** The witnesses are five. */
  const WITNESSES = 5

  it('are limited in number over all addresses', async () => {
    const { url } = await start({ maxConnections: WITNESSES + 3, trustProxy: ['127.0.0.1', '::1'] })
    const idle: RawConnection[] = []
    for (let i = 0; i < 3; i++) idle.push(await openConnection(url))
    const answer = await post(url, { query: '{ channels }' })
    expect(answer).toMatchObject({ status: 503, headers: { 'retry-after': '1', connection: 'close' } })
    expect(JSON.parse(answer.body)).toMatchObject({
      errors: [{ extensions: { code: 'LIMIT_EXCEEDED', limit: 'maxConnections', max: WITNESSES + 3 } }],
    })
    for (const path of ['/graphql', '/listen/x']) {
      expect(await exchange(url, handshake(url, path))).toMatch(
        /^HTTP\/1.1 503 .*retry-after: 1\r\n.*LIMIT_EXCEEDED maxConnections/s,
      )
    }
    // A load balancer that finds the server unhealthy would take its clients away.
    for (const path of ['/healthz', '/readyz']) {
      expect(await send(url, { path })).toMatchObject({ status: 200, headers: { connection: 'close' } })
    }
    for (const { socket } of idle) socket.destroy()
    await waitUntil(async () => (await post(url, { query: '{ channels }' })).status === 200, 'room')
  })

  it('beyond the limit are dropped if they send nothing', async () => {
    const { url } = await start({ maxConnections: 10 })
    const idle: RawConnection[] = []
    for (let i = 0; i < 20; i++) idle.push(await openConnection(url))
    // Ten fit, including the witnesses, and one more gets an answer.
    await Promise.all(idle.slice(-14).map(({ closed }) => closed))
    expect(idle.filter(({ socket }) => !socket.closed)).toHaveLength(6)
    for (const { socket } of idle) socket.destroy()
    // Connections that are closing may still occupy places, so a connection may be dropped at first.
    const isServed = () =>
      send(url, { path: '/' }).then(
        ({ status }) => status === 200,
        () => false,
      )
    await waitUntil(isServed, 'room')
  })
})

it('all memory is released again, whatever clients did', async () => {
  const { url } = await start({ maxClientMemory: 8 * MiB, stallTimeout: 300 })
  const capacity = await capacityOf(url)
  expect(capacity).toBeGreaterThan(10)
  const target = `/graphql?query=${encodeURIComponent(channelQuery('fuzz'))}`
  const sse = `GET ${target} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n`
  const posted = (body: string, length = body.length) =>
    `POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n${body}`
  const json = (query: string) => JSON.stringify({ query })
  const rows = '{ documents(limit: 1) { rows { id body } } }'
  const text = fc.constantFrom(
    sse,
    sse + sse,
    sse + posted(json('{ channels }')),
    posted(json(rows)),
    posted(json('subscription { channel(name: "x".repeat) }')),
    posted('{', 100_000),
    posted('x'.repeat(200_000), 300_000),
    posted(json(dense('fuzz', 400))),
  )
  const message = fc.constantFrom(
    { id: '1', type: 'subscribe', payload: { query: dense('fuzz', 30) } },
    {
      id: '1',
      type: 'subscribe',
      payload: { query: channelQuery('fuzz'), variables: { x: 'x'.repeat(1000) } },
    },
    { id: '2', type: 'subscribe', payload: { query: 'subscription { documentsChanged { operation } }' } },
    { id: '3', type: 'subscribe', payload: { query: rows } },
    { id: '4', type: 'subscribe', payload: { query: dense('fuzz', 400) } },
    { id: '5', type: 'subscribe', payload: { query: 'nonsense' } },
    { id: '1', type: 'complete' },
    { id: '2', type: 'complete' },
    { type: 'ping', payload: { text: 'x'.repeat(30_000) } },
  )
  const how = fc.constantFrom('end' as const, 'destroy' as const, 'reset' as const)
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(text, how), { maxLength: 6 }),
      fc.array(fc.tuple(fc.array(message, { maxLength: 8 }), fc.boolean(), how), { maxLength: 4 }),
      async (requests, sockets) => {
        const raw = await Promise.all(
          requests.map(async ([bytes, end]) => {
            const connection = await openConnection(url)
            connection.socket.write(bytes)
            return { socket: connection.socket, end }
          }),
        )
        const webSockets = await Promise.all(
          sockets.map(async ([messages, isHalf, end]) => {
            const client = await openWebSocket(url, '/graphql', 'graphql-transport-ws')
            client.send({ type: 'connection_init' })
            for (const each of messages) client.send(each)
            const { _socket: socket } = client.webSocket as unknown as { _socket: RawConnection['socket'] }
            if (isHalf) socket.write(frame(1, 'x'.repeat(100_000)).subarray(0, 50_000))
            return { socket, end }
          }),
        )
        await log.query(
          `select pg_notify('fuzz', g::text || repeat('x', 7000)) from generate_series(1, 20) g`,
        )
        for (const { socket, end } of [...raw, ...webSockets]) {
          if (end === 'end') socket.end()
          else if (end === 'reset') socket.resetAndDestroy()
          else socket.destroy()
        }
        await Promise.all(
          [...raw, ...webSockets].map(({ socket }) => {
            socket.resume()
            return socket.closed || new Promise(resolve => socket.once('close', resolve))
          }),
        )
      },
    ),
    { numRuns: 25 },
  )
  await waitUntil(async () => (await capacityOf(url)) === capacity, 'everything to be free again')
})
