import { describe, expect, it } from 'vitest'
import { createBackpressure } from '../../src/delivery/backpressure.js'
import { createGroups } from '../../src/delivery/groups.js'
import { Outbound } from '../../src/delivery/outbound.js'
import { createScheduler } from '../../src/delivery/scheduler.js'
import type { SubscriptionRequest } from '../../src/delivery/subscription.js'
import { createDeferred } from '../../src/lib/deferred.js'
import { ListenqlError } from '../../src/lib/errors.js'
import { createClientMemory } from '../../src/lib/limits/client-memory.js'
import type { Position } from '../../src/log/position.js'
import { EventSource, type Follower } from '../../src/sources/source.js'
import { waitUntil } from '../support/wait.js'

const observe = () => undefined
const scheduler = createScheduler(error => {
  throw error
})
const backpressure = createBackpressure({ maxBuffer: 1e6, scheduler, observe })
const memory = createClientMemory(1e9)
const sink = { writable: true, held: 0, frame() {}, control() {}, begin() {}, end() {}, cut() {} }
const connection = {
  transport: 'test',
  remote: '',
  maxBuffer: 1e6,
  stallTimeout: 1e6,
  scheduler,
  backpressure,
  memory,
  observe,
}
const outbound = new Outbound({ ...connection, sink })

it('after a rebuild of the schema, the source of a group continues after the position of the former source', async () => {
  const at = (n: number): Position => ({ n, token: 1, ord: 1, statement: 1, id: n })
  const continued: (Position | undefined)[] = []
  const request = (
    position: Position,
    renew: SubscriptionRequest<unknown>['renew'],
  ): SubscriptionRequest<unknown> => ({
    key: 'same',
    bytes: 0,
    source: new EventSource(
      { kind: 'table', name: 'people' },
      {
        async open({ continuesAfter }) {
          continued.push(continuesAfter)
          return () => undefined
        },
        live: () => Promise.resolve(),
        replay: () => ({
          position: () => position,
          start: () => position,
          read: () => Promise.reject(new Error('nothing is replayed')),
          seam: () => [],
        }),
      },
    ),
    render: String,
    renderTooLarge: String,
    renderEnd: String,
    renew,
  })
  const groups = createGroups({ maxEvent: 1e6, scheduler, backpressure, memory, observe })
  let isOld = false
  const { leave } = await groups.join(
    request(at(5), () => (isOld ? Promise.resolve(request(at(4), () => undefined)) : undefined)),
    { id: '', outbound },
  )
  isOld = true
  await groups.renew()
  expect(continued).toEqual([undefined, at(5)])
  leave()
})

it('a group whose last subscriber left while the schema was rebuilt follows nothing', async () => {
  let open = 0
  const source = () =>
    new EventSource(
      { kind: 'table', name: 'people' },
      {
        async open() {
          open++
          let stopped = false
          return () => {
            if (!stopped) open--
            stopped = true
          }
        },
        live: () => Promise.resolve(),
      },
    )
  const renewed = createDeferred()
  let isOld = false
  const request = (renew: SubscriptionRequest<unknown>['renew']): SubscriptionRequest<unknown> => ({
    key: 'same',
    bytes: 0,
    source: source(),
    render: String,
    renderTooLarge: String,
    renderEnd: String,
    renew,
  })
  const groups = createGroups({ maxEvent: 1e6, scheduler, backpressure, memory, observe })
  const { leave } = await groups.join(
    request(() => (isOld ? renewed.promise.then(() => request(() => undefined)) : undefined)),
    { id: '', outbound },
  )
  isOld = true
  const done = groups.renew()
  leave()
  renewed.resolve()
  await done
  await Promise.resolve()
  expect(groups.size).toEqual({ groups: 0, subscribers: 0 })
  expect(open).toBe(0)
})

it('a source that ends while it is being opened is refused with its reason, and leaves nothing', async () => {
  const groups = createGroups({ maxEvent: 1e6, scheduler, backpressure, memory, observe })
  const lost = new ListenqlError('FORBIDDEN', 'the right was lost')
  const request: SubscriptionRequest<unknown> = {
    key: 'same',
    bytes: 0,
    source: new EventSource(
      { kind: 'table', name: 'people' },
      {
        async open(follower) {
          follower.end(lost)
          return () => undefined
        },
        live: () => Promise.resolve(),
      },
    ),
    render: String,
    renderTooLarge: String,
    renderEnd: String,
    renew: () => undefined,
  }
  await expect(groups.join(request, { id: '', outbound })).rejects.toBe(lost)
  expect(groups.size).toEqual({ groups: 0, subscribers: 0 })
})

describe('groups with the same request under the next schema', () => {
  it('merge: each subscriber of either group gets every event once and in order, also while it waits for frames or catches up', async () => {
    const followers = new Set<Follower<number>>()
    const at = (event: number): Position => ({ n: event, token: 1, ord: 0, statement: 0, id: 0 })
    const history: number[] = []
    let handedOn = 0
    const asked: (() => void)[] = []
    const replay = {
      position: () => at(handedOn),
      start: () => at(handedOn),
      async read(after: Position) {
        await new Promise<void>(resolve => asked.push(resolve))
        const events = history.filter(event => event > after.n).slice(0, 3)
        return { events, position: at(events.at(-1) ?? after.n) }
      },
      seam: () => [],
    }
    const publish = () => {
      history.push(++handedOn)
      for (const follower of followers) follower.event(handedOn)
    }
    let schema = 1
    const request = (key: string): SubscriptionRequest<number> => {
      const made = schema
      return {
        key: made === 1 ? key : 'same',
        bytes: 0,
        source: new EventSource<number>(
          { kind: 'table', name: 'people' },
          {
            async open(follower) {
              followers.add(follower)
              return () => void followers.delete(follower)
            },
            live: () => Promise.resolve(),
            positionOf: at,
            replay: () => replay,
          },
        ),
        render: String,
        renderTooLarge: String,
        renderEnd: String,
        renew: () => (made === schema ? undefined : Promise.resolve(request(key))),
      }
    }
    const groups = createGroups({ maxEvent: 1e6, scheduler, backpressure, memory, observe })
    const client = (writable: () => boolean) => {
      const taken: string[] = []
      const own = new Outbound({
        ...connection,
        sink: {
          ...sink,
          get writable() {
            return writable()
          },
          frame: (_subscriber, { text }) => void taken.push(text),
        },
      })
      return { outbound: own, taken }
    }
    let isSlow = true
    const [a, b, slow, late] = [
      client(() => true),
      client(() => true),
      client(() => !isSlow),
      client(() => true),
    ] as const
    const clients = [a, b, slow, late]
    const inA = await groups.join(request('a'), { id: '', outbound: a.outbound })
    await groups.join(request('b'), { id: '', outbound: b.outbound })
    await groups.join(request('a'), { id: '', outbound: slow.outbound })
    for (let i = 0; i < 5; i++) publish()
    const resuming = groups.join(request('a'), { id: '', outbound: late.outbound, after: at(0) })
    await waitUntil(() => asked.length > 0, 'the first page to be asked for')
    asked.shift()?.()
    await resuming
    publish()
    schema = 2
    await groups.renew()
    expect(groups.size).toEqual({ groups: 1, subscribers: 4 })
    expect(followers.size).toBe(1)
    publish()
    isSlow = false
    slow.outbound.resume()
    publish()
    const all = history.map(String)
    await waitUntil(() => {
      asked.shift()?.()
      return clients.every(({ taken }) => taken.length >= all.length)
    }, 'all events')
    for (const { taken } of clients) expect(taken).toEqual(all)
    inA.leave()
    expect(groups.size).toEqual({ groups: 1, subscribers: 3 })
    expect(followers.size).toBe(1)
  })
})
