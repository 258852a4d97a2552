import { createServer as createTcpServer } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { type ClientOptions, createClient } from '../../src/client/index.js'
import { Inbox } from '../support/inbox.js'
import { type HistoryEvent, type ScriptedServer, startScriptedServer } from '../support/scripted-server.js'
import { waitUntil } from '../support/wait.js'

let server: ScriptedServer
const cleanUps: (() => unknown)[] = []
beforeEach(async () => {
  server = await startScriptedServer()
})
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
  await server.close()
})

const QUERY = 'subscription { numbers }'
const durable = (...values: number[]): HistoryEvent[] => values.map(value => ({ value, kind: 'durable' }))

function connect(options: Partial<ClientOptions> = {}) {
  const client = createClient({
    url: server.url,
    webSocketImpl: WebSocket,
    retryWait: () => new Promise(resolve => setTimeout(resolve, 5)),
    ...options,
  })
  cleanUps.push(() => client.dispose())
  return client
}

type Client = ReturnType<typeof connect>

/** Subscribes, and records results and the end. */
function follow(client: Client, payload: Partial<Parameters<Client['subscribe']>[0]> = {}) {
  const numbers = new Inbox<unknown>()
  const errors = new Inbox<unknown>()
  const completed = new Inbox<true>()
  const unsubscribe = client.subscribe<{ numbers: number }>(
    { query: QUERY, ...payload },
    {
      next: ({ data }) => numbers.push(data?.numbers),
      error: errors.push,
      complete: () => completed.push(true),
    },
  )
  return { numbers, errors, completed, unsubscribe }
}

/** Subscribes, and resolves once the server has sent the start position. */
async function followed(client: Client, payload: Parameters<typeof follow>[1] = {}) {
  const accepted = new Promise<void>(resolve => {
    const off = client.on('ping', received => {
      if (!received) return
      off()
      resolve()
    })
  })
  const subscription = follow(client, payload)
  await accepted
  return subscription
}

const lastTaken = () => server.taken.at(-1)?.payload

it('a sink learns when the server has accepted the subscription, and when the connection is lost', async () => {
  const client = connect()
  const heard = new Inbox<string>()
  const sink = {
    next: () => undefined,
    error: () => undefined,
    complete: () => heard.push('completed'),
    accepted: () => heard.push('accepted'),
    interrupted: () => heard.push('interrupted'),
  }
  const unsubscribe = client.subscribe({ query: QUERY }, sink)
  expect(await heard.next()).toBe('accepted')
  server.ping() // a keep-alive accepts nothing
  server.kill(1012)
  expect(await heard.take(2)).toEqual(['interrupted', 'accepted'])
  unsubscribe()
  expect(await heard.next()).toBe('completed')
  server.kill()
  expect(heard.drain()).toEqual([])
})

describe('after a lost connection', () => {
  it.each([
    ['without a close frame', undefined],
    ['because the server stops', 1001],
    ['because the service restarts', 1012],
    ['because the client was too slow', 1013],
    ['normally, during a subscription', 1000],
    ['because the acknowledgement took too long', 4504],
  ])('the subscription resumes after the last result: closed %s', async (_how, code) => {
    const { numbers, errors } = await followed(connect())
    server.add(...durable(1, 2, 3))
    server.deliver(2)
    expect(await numbers.take(2)).toEqual([1, 2])
    server.kill(code)
    await server.following()
    expect(server.taken.map(({ payload }) => payload.extensions)).toEqual([undefined, { after: '2' }])
    server.deliver()
    expect(await numbers.next()).toBe(3)
    expect(errors.drain()).toEqual([])
  })

  it('the subscription resumes after the last ping if it had no results', async () => {
    const client = connect()
    const { numbers } = await followed(client)
    server.add({ value: 1, kind: 'elsewhere' }, { value: 2, kind: 'elsewhere' })
    server.deliver()
    const pong = new Promise(resolve => client.on('pong', resolve))
    server.ping()
    await pong
    server.add(...durable(3))
    server.kill()
    await server.following()
    expect(lastTaken()?.extensions).toEqual({ after: '2' })
    server.deliver()
    expect(await numbers.next()).toBe(3)
  })

  it('the subscription keeps its position through results without one', async () => {
    const { numbers } = await followed(connect())
    server.add(...durable(1), { value: 2, kind: 'plain' })
    server.deliver()
    expect(await numbers.take(2)).toEqual([1, 2])
    server.kill()
    await server.following()
    expect(lastTaken()?.extensions).toEqual({ after: '1' })
  })

  it('the subscription repeats id, query, variables and extensions, with the position instead of its initial one', async () => {
    const client = connect({ generateID: payload => `id of ${payload.operationName}` })
    const payload = {
      query: 'subscription Mine($x: Int) { numbers }',
      operationName: 'Mine',
      variables: { x: 1, after: '0' },
      extensions: { mine: [true], after: '0' },
    }
    const frozen = Object.freeze({ ...payload })
    server.add(...durable(1))
    const { numbers } = follow(client, frozen)
    await server.following()
    server.deliver()
    expect(await numbers.next()).toBe(1)
    server.kill()
    await server.following()
    expect(server.taken).toEqual([
      { id: 'id of Mine', payload },
      { id: 'id of Mine', payload: { ...payload, extensions: { mine: [true], after: '1' } } },
    ])
    expect(frozen).toEqual(payload)
  })

  it('each subscription resumes after its own position', async () => {
    const client = connect()
    const one = await followed(client)
    server.add(...durable(1, 2))
    server.deliver()
    await one.numbers.take(2)
    const two = await followed(client, { variables: { after: '1' } })
    server.kill()
    await server.following(2)
    const again = server.taken.slice(-2).map(({ payload }) => [payload.variables, payload.extensions])
    expect(again).toContainEqual([undefined, { after: '2' }])
    expect(again).toContainEqual([{ after: '1' }, { after: '1' }]) // From the ping at acceptance.
    server.deliver()
    expect(await two.numbers.next()).toBe(2)
  })

  it('the client reconnects, however often the connection is lost', async () => {
    const { numbers, errors } = await followed(connect({ retryWait: async () => undefined }))
    const { port } = server
    await server.close()
    const attempts = createTcpServer(socket => socket.destroy())
    let refused = 0
    attempts.on('connection', () => refused++)
    await new Promise<void>(resolve => attempts.listen(port, '127.0.0.1', resolve))
    await waitUntil(() => refused > 20, 'more attempts than graphql-ws makes')
    await new Promise(resolve => attempts.close(resolve))
    server = await startScriptedServer(port)
    await server.following()
    server.add(...durable(1))
    server.deliver()
    expect(await numbers.next()).toBe(1)
    expect(errors.drain()).toEqual([])
  })

  it('the client waits for a server that is not up yet', async () => {
    const { port } = server
    await server.close()
    const { numbers } = follow(connect())
    server = await startScriptedServer(port)
    await server.following()
    server.add(...durable(1))
    server.deliver()
    expect(await numbers.next()).toBe(1)
  })
})

describe('a silently dead connection', () => {
  const impatient = { keepAlive: 20, pongTimeout: 60 }

  it('is replaced, and its late messages are dropped', async () => {
    const { numbers } = await followed(connect(impatient))
    server.add(...durable(1))
    server.deliver()
    await numbers.next()
    server.freeze()
    server.add(...durable(2, 3))
    server.deliver() // Held back by the server.
    await server.following()
    server.deliver()
    expect(await numbers.take(2)).toEqual([2, 3])
    server.thaw() // The old socket delivers 2 and 3 once more.
    server.add(...durable(4))
    await waitUntil(() => server.sockets.size === 1, 'the old socket to close')
    server.deliver()
    expect(await numbers.next()).toBe(4)
    expect(numbers.drain()).toEqual([])
  })

  it('is given up while it connects', async () => {
    server.mute = true
    const { numbers } = follow(connect({ connectTimeout: 60 }))
    await waitUntil(() => server.sockets.size > 0, 'the first attempt')
    server.mute = false
    await server.following()
    server.add(...durable(1))
    server.deliver()
    expect(await numbers.next()).toBe(1)
  })

  it('is given up if the handshake stays without an answer', async () => {
    const silent = createTcpServer(() => undefined)
    await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve))
    cleanUps.push(() => silent.close())
    const { port } = silent.address() as { port: number }
    let attempts = 0
    const url = () => (++attempts === 1 ? `ws://127.0.0.1:${port}/graphql` : server.url)
    // The second attempt also has this limit, on a machine that may be busy.
    const { numbers } = follow(connect({ url, connectTimeout: 1000 }))
    await server.following()
    expect(attempts).toBe(2)
    server.add(...durable(1))
    server.deliver()
    expect(await numbers.next()).toBe(1)
  })

  it.each(['connecting', 'connected'] as const)(
    'is replaced after a manual terminate(), while %s',
    async state => {
      const client = connect()
      const { numbers } = follow(client)
      if (state === 'connected') await server.following()
      client.terminate()
      await waitUntil(() => server.taken.length === (state === 'connected' ? 2 : 1), 'another subscribe')
      await server.following()
      server.add(...durable(1))
      server.deliver()
      expect(await numbers.next()).toBe(1)
    },
  )
})

describe('the client ends', () => {
  const refused = (code: string) => [{ message: code.toLowerCase(), extensions: { code } }]

  it.each(['CURSOR_EXPIRED', 'CURSOR_INVALID', 'SCHEMA_CHANGED'])(
    'a subscription with %s, and the next one starts without a position',
    async code => {
      const client = connect()
      const { numbers, errors, completed } = await followed(client)
      server.add(...durable(1))
      server.deliver()
      await numbers.next()
      server.refusal = refused(code)
      server.kill()
      expect(await errors.next()).toEqual(refused(code))
      expect(lastTaken()?.extensions).toEqual({ after: '1' })
      await followed(client)
      expect(lastTaken()?.extensions).toBeUndefined()
      expect([errors.drain(), completed.drain()]).toEqual([[], []])
    },
  )

  it.each([4400, 4401, 4403, 4500])(
    'all subscriptions on close code %i, which rules out a retry',
    async code => {
      const { errors } = await followed(connect())
      server.kill(code)
      expect(await errors.next()).toMatchObject({ code })
      expect(server.taken).toHaveLength(1)
    },
  )

  it('all subscriptions when a callback of the application throws', async () => {
    const wrong = new Error('no token')
    const { errors } = follow(connect({ connectionParams: () => Promise.reject(wrong) }))
    expect(await errors.next()).toBe(wrong)
  })

  it('all subscriptions as complete when it is disposed of, connected or not', async () => {
    const connected = connect()
    const one = await followed(connected)
    await connected.dispose()
    await one.completed.next()
    await waitUntil(() => server.sockets.size === 0, 'the socket to close')

    const { port } = server
    await server.close()
    const waiting = createClient({ url: server.url, webSocketImpl: WebSocket }) // With the default pauses.
    const two = follow(waiting)
    await new Promise(resolve => waiting.on('error', resolve))
    await waiting.dispose()
    await two.completed.next()
    expect([one.errors.drain(), two.errors.drain()]).toEqual([[], []])
    server = await startScriptedServer(port)
  })

  it('a subscription that is unsubscribed while the client is offline, at once', async () => {
    const client = connect()
    const { completed, unsubscribe, errors } = await followed(client)
    const { port } = server
    await server.close()
    await new Promise(resolve => client.on('closed', resolve))
    unsubscribe()
    unsubscribe()
    await completed.next()
    server = await startScriptedServer(port)
    const other = await followed(client)
    expect(server.taken).toHaveLength(1)
    expect([completed.drain(), errors.drain(), other.errors.drain()]).toEqual([[], [], []])
  })
})

describe('createClient', () => {
  it("passes the application's own options to graphql-ws", async () => {
    const seen: string[] = []
    const note = (what: string) => () => void seen.push(what)
    const client = connect({
      retryAttempts: 0,
      connectionParams: async () => ({ token: 'secret' }),
      jsonMessageReplacer: (key, value) => (key === 'secret' ? undefined : value),
      on: {
        connected: note('connected'),
        ping: note('ping'),
        closed: note('closed'),
        message: note('message'),
      },
    })
    const { errors } = await followed(client, { variables: { secret: 1, open: 2 } })
    expect(server.inits).toEqual([{ token: 'secret' }])
    expect(lastTaken()?.variables).toEqual({ open: 2 })
    server.kill()
    expect(await errors.next()).toMatchObject({ code: 1006 })
    expect(new Set(seen)).toEqual(new Set(['connected', 'ping', 'closed', 'message']))
  })

  it('calls the shouldRetry of the application', async () => {
    const asked: unknown[] = []
    const { errors } = await followed(connect({ shouldRetry: reason => asked.push(reason) > 2 }))
    server.kill()
    expect(await errors.next()).toBe(asked[0])
    expect(asked).toMatchObject([{ code: 1006 }])
  })

  it('returns a client that iterates, resumes, buffers unread results, and unsubscribes', async () => {
    const client = connect()
    const numbers = client.iterate<{ numbers: number }>({ query: QUERY })
    await server.following()
    await waitUntil(() => server.taken.length === 1)
    server.add(...durable(1, 2, 3))
    server.deliver(1)
    expect((await numbers.next()).value?.data).toEqual({ numbers: 1 })
    server.kill()
    await server.following()
    server.deliver()
    expect((await numbers.next()).value?.data).toEqual({ numbers: 2 })
    expect(await numbers.return?.()).toEqual({ done: true, value: undefined })
    expect(await numbers.next()).toEqual({ done: true, value: undefined }) // 3 is dropped.
    await server.following(0)

    const failing = client.iterate({ query: QUERY })
    await server.following()
    const next = failing.next()
    server.refusal = [{ message: 'gone', extensions: { code: 'CURSOR_EXPIRED' } }]
    server.kill()
    await expect(next).rejects.toMatchObject([{ extensions: { code: 'CURSOR_EXPIRED' } }])

    const left = client.iterate({ query: QUERY })
    await server.following()
    const never = left.next()
    await left.return?.()
    expect(await never).toEqual({ done: true, value: undefined })
    const thrown = client.iterate({ query: QUERY })
    await expect(thrown.throw?.(new Error('mine'))).rejects.toThrow('mine')
    expect(await thrown.next()).toEqual({ done: true, value: undefined })
  })

  it('keeps other operations alive when a query ends within `next` with its `complete` in the same packet', async () => {
    const client = connect()
    const { numbers, completed } = await followed(client)
    for (let i = 1; i <= 3; i++) {
      await new Promise<void>(resolve => {
        const unsubscribe = client.subscribe(
          { query: 'query { unary }' },
          {
            next() {
              unsubscribe()
              resolve()
            },
            error: reason => expect.unreachable(String(reason)),
            complete: () => undefined,
          },
        )
      })
      server.add(...durable(i))
      server.deliver()
      expect(await numbers.next()).toBe(i)
    }
    expect(server.inits).toHaveLength(1)
    expect(completed.drain()).toEqual([])
  })

  it('adds nothing to queries', async () => {
    const client = connect()
    for await (const { data } of client.iterate({ query: 'query { unary }' }))
      expect(data).toEqual({ unary: true })
    expect(lastTaken()).toEqual({ query: 'query { unary }' })
  })

  it('can be called where there is no WebSocket, as on a server; operations end with what to do', async () => {
    const { WebSocket: own } = globalThis
    Reflect.deleteProperty(globalThis, 'WebSocket')
    try {
      const client = createClient({ url: server.url })
      expect(await follow(client).errors.next()).toMatchObject({
        message: expect.stringContaining('pass `webSocketImpl`'),
      })
      const { errors, unsubscribe } = follow(client)
      unsubscribe()
      await expect(client.iterate({ query: QUERY }).next()).rejects.toThrow('webSocketImpl')
      expect(errors.drain()).toEqual([])
      await client.dispose()
    } finally {
      if (own) globalThis.WebSocket = own
    }
  })
})
