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
  | { readonly type: 'ping' | 'settle' | 'zombie' | 'rise' }

const count = fc.integer({ min: 1, max: 6 })
const kind = fc.constantFrom<HistoryEvent['kind'][]>('durable', 'durable', 'plain', 'elsewhere')
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.array(kind, { minLength: 1, maxLength: 8 }).map(kinds => ({ type: 'add', kinds }) as const),
  },
  { weight: 4, arbitrary: count.map(count => ({ type: 'deliver', count }) as const) },
  {
    weight: 3,
    arbitrary: fc
      .constantFrom(undefined, undefined, 1001, 1012, 1013)
      .map(code => ({ type: 'kill', code }) as const),
  },
  { weight: 2, arbitrary: fc.constant({ type: 'ping' } as const) },
  { weight: 3, arbitrary: fc.constant({ type: 'settle' } as const) },
  { weight: 1, arbitrary: fc.constantFrom({ type: 'zombie' } as const, { type: 'rise' } as const) },
)

/**
 * Two subscriptions of one client, one of them by `iterate`, while connections are lost at arbitrary points.
 */
async function run(steps: readonly Step[]): Promise<void> {
  const server = await startScriptedServer()
  const client = createClient({
    url: server.url,
    webSocketImpl: WebSocket,
    retryWait: () => new Promise(resolve => setTimeout(resolve, 1)),
  })
  const history: HistoryEvent[] = []
  const received: [number[], number[]] = [[], []]
  const failures: unknown[] = []
  const add = (kind: HistoryEvent['kind']) => {
    const event = { value: history.length, kind }
    history.push(event)
    server.add(event)
  }
  try {
    let accepted = 0
    const off = client.on('ping', isReceived => {
      if (isReceived) accepted++
    })
    client.subscribe<{ numbers: number }>(
      { query: 'subscription { numbers }' },
      {
        next: ({ data }) => received[0].push(data?.numbers ?? -1),
        error: reason => failures.push(reason),
        complete: () => failures.push('complete'),
      },
    )
    const read = async () => {
      const results = client.iterate<{ numbers: number }>({ query: 'subscription Other { numbers }' })
      for await (const { data } of results) received[1].push(data?.numbers ?? -1)
    }
    const reading = read()
    await waitUntil(() => accepted === 2, 'both to be accepted')
    off()

    for (const one of steps) {
      if (one.type === 'add') for (const kind of one.kinds) add(kind)
      else if (one.type === 'deliver') server.deliver(one.count)
      else if (one.type === 'kill') server.kill(one.code)
      else if (one.type === 'ping') server.ping()
      else if (one.type === 'settle') await server.following(2)
      else if (one.type === 'rise') server.thaw()
      else {
        await server.following(2)
        server.freeze()
        server.deliver() // what the connection delivers long after the client has abandoned it
        client.terminate()
      }
    }
    await server.following(2)
    server.deliver()
    server.thaw()
    add('durable')
    const last = history.length - 1
    // A subscription that was cut off at the very end reconnects once more.
    await waitUntil(() => {
      server.deliver()
      return received.every(numbers => numbers.includes(last))
    }, 'the last event')
    const durable = history.filter(({ kind }) => kind === 'durable').map(({ value }) => value)
    const plain = new Set(history.filter(({ kind }) => kind === 'plain').map(({ value }) => value))
    for (const numbers of received) {
      expect(numbers.filter(value => !plain.has(value))).toEqual(durable)
      expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b)) // plain notifications are neither duplicated nor late
    }
    expect(failures).toEqual([])
    await client.dispose()
    await reading
    expect(failures).toEqual(['complete'])
  } finally {
    await client.dispose()
    await server.close()
  }
}

it('the client yields the whole history once and in order, wherever the connection is lost', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), steps => run(steps)),
    { numRuns: 60, interruptAfterTimeLimit: 60_000, endOnFailure: true },
  )
}, 120_000)
