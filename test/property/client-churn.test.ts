import fc from 'fast-check'
import { expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { createClient } from '../../src/client/index.js'
import { type HistoryEvent, startScriptedServer } from '../support/scripted-server.js'
import { waitUntil } from '../support/wait.js'

type Step =
  | { readonly type: 'add'; readonly kinds: readonly HistoryEvent['kind'][] }
  | { readonly type: 'deliver'; readonly count: number }
  | { readonly type: 'kill'; readonly code: number | undefined }
  | { readonly type: 'unsubscribe'; readonly which: number }
  | {
      readonly type:
        | 'subscribe'
        | 'query'
        | 'leave a query'
        | 'refuse'
        | 'ping'
        | 'terminate'
        | 'turn'
        | 'settle'
    }

const kinds = fc.array(fc.constantFrom<HistoryEvent['kind'][]>('durable', 'durable', 'elsewhere'), {
  minLength: 1,
  maxLength: 5,
})
const codes = [undefined, undefined, 1000, 1001, 1012, 1013, 4504]
const plain = [
  ...(['subscribe', 'subscribe', 'turn', 'turn', 'query', 'leave a query'] as const),
  ...(['settle', 'settle', 'settle', 'refuse', 'ping', 'terminate'] as const),
]
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: kinds.map(kinds => ({ type: 'add', kinds }) as const) },
  {
    weight: 4,
    arbitrary: fc.integer({ min: 1, max: 4 }).map(count => ({ type: 'deliver', count }) as const),
  },
  { weight: 4, arbitrary: fc.constantFrom(...codes).map(code => ({ type: 'kill', code }) as const) },
  { weight: 3, arbitrary: fc.nat(5).map(which => ({ type: 'unsubscribe', which }) as const) },
  { weight: 16, arbitrary: fc.constantFrom(...plain).map(type => ({ type }) as const) },
)

const REFUSAL = [{ message: 'no', extensions: { code: 'CURSOR_EXPIRED' } }]

interface Subscription {
  readonly numbers: number[]
  /** How the sink ended, and any call that it received after that. */
  readonly end: unknown[]
  hasLeft: boolean
  leave(): void
}

/** Subscriptions and queries that start and stop, or are refused, while connections are lost. */
async function run(steps: readonly Step[]): Promise<void> {
  const server = await startScriptedServer()
  const client = createClient({
    url: server.url,
    webSocketImpl: WebSocket,
    retryWait: () => new Promise(resolve => setTimeout(resolve, 1)),
  })
  const history: HistoryEvent[] = []
  const all: Subscription[] = []
  const queries: Promise<unknown>[] = []
  const living = () => all.filter(({ hasLeft, end }) => !hasLeft && end.length === 0)

  function add(kind: HistoryEvent['kind']): void {
    const event = { value: history.length, kind }
    history.push(event)
    server.add(event)
  }
  function subscribe(): void {
    const one: Subscription = { numbers: [], end: [], hasLeft: false, leave: () => undefined }
    one.leave = client.subscribe<{ numbers: number }>(
      { query: 'subscription { numbers }' },
      {
        next({ data }) {
          if (one.hasLeft || one.end.length > 0) one.end.push('a result after the end')
          one.numbers.push(data?.numbers ?? -1)
        },
        error: reason => one.end.push(reason),
        complete: () => one.end.push('complete'),
      },
    )
    all.push(one)
  }
  function query(leave: boolean): void {
    let unsubscribe = () => {}
    const answered = new Promise<void>((resolve, reject) => {
      unsubscribe = client.subscribe(
        { query: 'query { unary }' },
        {
          next: () => leave && unsubscribe(),
          error: reason => (Array.isArray(reason) ? resolve() : reject(reason)), // the refusal of this one
          complete: resolve,
        },
      )
    })
    queries.push(answered)
  }

  try {
    for (const one of steps) {
      if (one.type === 'add') one.kinds.forEach(add)
      else if (one.type === 'deliver') server.deliver(one.count)
      else if (one.type === 'kill') server.kill(one.code)
      else if (one.type === 'subscribe') subscribe()
      else if (one.type === 'query') query(false)
      else if (one.type === 'leave a query') query(true)
      else if (one.type === 'refuse') server.refusal = REFUSAL
      else if (one.type === 'ping') server.ping()
      else if (one.type === 'terminate') client.terminate()
      else if (one.type === 'settle') {
        await server.following(() => living().length)
        query(false)
        await Promise.all(queries) // everything sent before the answer has arrived too
      } else if (one.type === 'turn') await new Promise(resolve => setTimeout(resolve, 1))
      else if (one.type === 'unsubscribe') {
        const subscription = living()[one.which]
        if (!subscription) continue
        subscription.hasLeft = true
        subscription.leave()
      }
    }
    await Promise.all(queries)
    server.refusal = undefined
    await server.following(() => living().length)
    // A subscription that its client has left may still be counted, so events are added until each living one
    // has got one.
    const settled = history.length
    await waitUntil(() => {
      add('durable')
      server.deliver()
      return living().every(({ numbers }) => numbers.some(number => number >= settled))
    }, 'an event for each')
    const last = history.length - 1
    await waitUntil(() => {
      server.deliver()
      return living().every(({ numbers }) => numbers.includes(last))
    }, 'the last event')

    const durable = history.filter(({ kind }) => kind === 'durable').map(({ value }) => value)
    for (const { numbers, end, hasLeft } of all) {
      const start = durable.indexOf(numbers[0] ?? last)
      expect(numbers).toEqual(durable.slice(start, start + numbers.length))
      if (hasLeft) expect(end).toEqual(['complete'])
      else if (end.length > 0) expect(end).toEqual([REFUSAL])
    }
    const sockets = living().length === 0 ? 0 : 1
    await waitUntil(() => server.sockets.size === sockets, `${sockets} sockets`)
    await client.dispose()
    for (const { end } of all) expect(end).toHaveLength(1)
  } finally {
    await client.dispose()
    await server.close()
  }
}

it('each subscription receives its part of the history once and in order, ends once, and leaves nothing on the server', async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), run), {
    numRuns: 150,
    interruptAfterTimeLimit: 60_000,
    endOnFailure: true,
  })
}, 120_000)
