import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { WebSocket } from 'ws'
import { type ClientOptions, createClient } from '../../src/client/index.js'
import { Inbox } from '../support/inbox.js'
import { type ScriptedServer, startScriptedServer } from '../support/scripted-server.js'
import { inSeconds, sign } from '../support/tokens.js'
import { waitUntil } from '../support/wait.js'

let server: ScriptedServer
const cleanUps: (() => unknown)[] = []
beforeEach(async () => {
  server = await startScriptedServer()
})
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
  vi.unstubAllGlobals()
  await server.close()
})

/** A pause that only an event of the page ends. */
const endless = () => new Promise<void>(() => {})

function connect(options: Partial<ClientOptions> = {}) {
  const client = createClient({ url: server.url, webSocketImpl: WebSocket, ...options })
  cleanUps.push(() => client.dispose())
  const states = new Inbox<string>()
  client.status.subscribe(() => states.push(client.status.getSnapshot().state))
  const numbers = new Inbox<unknown>()
  const follow = () =>
    client.subscribe<{ numbers: number }>(
      { query: 'subscription { numbers }' },
      { next: ({ data }) => numbers.push(data?.numbers), error: numbers.push, complete: () => {} },
    )
  return { client, states, numbers, follow }
}
const durable = (value: number) => ({ value, kind: 'durable' }) as const

/** Makes this process look like a page. */
function pretendPage() {
  const page = new EventTarget()
  vi.stubGlobal('window', page)
  vi.stubGlobal('addEventListener', page.addEventListener.bind(page))
  vi.stubGlobal('removeEventListener', page.removeEventListener.bind(page))
  return page
}

describe('the status', () => {
  it('follows the connection', async () => {
    const { states, follow, client } = connect({ retryWait: async () => {} })
    expect(client.status.getSnapshot().state).toBe('idle')
    const leave = follow()
    expect(await states.take(2)).toEqual(['connecting', 'live'])
    await server.following()
    server.ping()
    server.kill()
    expect(await states.take(3)).toEqual(['offline', 'catching-up', 'live'])
    leave()
    expect(await states.next()).toBe('idle')
  })
})

describe('in a page', () => {
  it('the socket stays for a while when the last subscription leaves, so that the next one needs no other', async () => {
    pretendPage()
    const { follow } = connect()
    for (let i = 0; i < 3; i++) {
      const leave = follow()
      await server.following(1)
      leave()
      await server.following(0)
    }
    expect(server.inits.length).toBe(1)
    expect(server.sockets.size).toBe(1)
  })

  it('the client reconnects as soon as the network is back', async () => {
    const page = pretendPage()
    const { follow, states } = connect({ retryWait: endless })
    follow()
    await server.following()
    server.kill()
    await waitUntil(() => states.drain().includes('offline'), 'the end of the connection')
    await waitUntil(() => {
      page.dispatchEvent(new Event('online')) // the pause may not have begun
      return server.inits.length === 2
    }, 'another connection')
    await server.following()
  })

  it('the client replaces a connection that has died while the page was away', async () => {
    const page = pretendPage()
    const { follow, numbers } = connect({ pongTimeout: 30, retryWait: async () => {} })
    follow()
    await server.following()
    server.freeze()
    page.dispatchEvent(new Event('pageshow'))
    page.dispatchEvent(new Event('online'))
    await server.following()
    server.add(durable(1))
    server.deliver()
    expect(await numbers.next()).toBe(1)
  })

  it('a connection that answers stays', async () => {
    const page = pretendPage()
    const { client, follow } = connect()
    follow()
    await server.following()
    const pong = new Promise(resolve => client.on('pong', received => received && resolve(undefined)))
    page.dispatchEvent(new Event('pageshow'))
    await pong
    expect(server.inits.length).toBe(1)
  })

  it('a client that was disposed of does not listen to the page any more', async () => {
    const page = pretendPage()
    const remove = vi.spyOn(page, 'removeEventListener')
    vi.stubGlobal('removeEventListener', page.removeEventListener.bind(page))
    const { client } = connect()
    await client.dispose()
    expect(remove.mock.calls.map(([type]) => type)).toEqual(['online', 'pageshow'])
  })
})

it('a token is replaced before it expires, over another connection, which resumes without a pause', async () => {
  const { setTimeout: own } = globalThis
  const renewals: (() => void)[] = []
  vi.stubGlobal('setTimeout', (work: (...args: unknown[]) => void, ms: number, ...args: unknown[]) =>
    ms > 1_000_000 ? renewals.push(() => work(...args)) : own(work, ms, ...args),
  )
  let tokens = 0
  const connectionParams = async () => ({
    authorization: `Bearer ${await sign({ exp: inSeconds(3600 * ++tokens) })}`,
  })
  const { follow, numbers } = connect({ connectionParams, retryWait: endless })
  follow()
  await server.following()
  server.add(durable(1))
  server.deliver()
  expect(await numbers.next()).toBe(1)
  expect(renewals.length).toBe(1)
  renewals[0]?.()
  await waitUntil(() => server.inits.length === 2, 'the other connection')
  await server.following()
  expect(server.taken.at(-1)?.payload.extensions).toEqual({ after: '1' })
  server.add(durable(2))
  server.deliver()
  expect(await numbers.next()).toBe(2)
  expect(new Set(server.inits.map(init => JSON.stringify(init))).size).toBe(2)
  expect(tokens).toBe(2)
  expect(numbers.drain()).toEqual([])
})
