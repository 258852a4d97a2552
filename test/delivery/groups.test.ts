import { describe, expect, it } from 'vitest'
import { createGroups } from '../../src/delivery/groups.js'
import type { SubscriptionRequest } from '../../src/delivery/subscription.js'
import { createDeferred } from '../../src/lib/deferred.js'
import { ListenqlError } from '../../src/lib/errors.js'
import type { Position } from '../../src/log/position.js'
import { EventSource, type Follower } from '../../src/sources/source.js'
import { createClient, createRenewable, groupOptions } from '../support/group.js'
import { waitUntil } from '../support/wait.js'

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
  const groups = createGroups(groupOptions)
  let isOld = false
  const handle = await groups.join(
    request(at(5), () => (isOld ? Promise.resolve(request(at(4), () => undefined)) : undefined)),
    createClient(),
  )
  isOld = true
  await groups.renew()
  expect(continued).toEqual([undefined, at(5)])
  handle.leave()
})

it('a subscriber that waits for a source to be live joins the source that takes its place', async () => {
  const former = createDeferred()
  let follower: Follower<number> | undefined
  const { request, change } = createRenewable((_key, schema) => ({
    async open(own) {
      follower = own
      return former.resolve
    },
    live: () => (schema === 1 ? former.promise : Promise.resolve(follower?.event(7))),
    stateOf: String,
  }))
  const groups = createGroups(groupOptions)
  const client = createClient()
  const joined = groups.join(request('one'), client)
  await waitUntil(() => follower !== undefined)
  change()
  await groups.renew()
  const handle = await joined
  await expect.poll(() => client.texts).toEqual(['7'])
  handle.leave()
})

it('a subscriber that waits for a state gets the error if its request no longer fits the schema', async () => {
  const former = createDeferred()
  let stops = 0
  let isOld = false
  const gone = new ListenqlError('SCHEMA_CHANGED', 'gone')
  const request: SubscriptionRequest<number> = {
    ...createRenewable(() => ({
      open: async () => () => {
        stops++
        former.resolve()
      },
      live: () => former.promise,
      stateOf: String,
    })).request('one'),
    renew: () => (isOld ? Promise.reject(gone) : undefined),
  }
  const groups = createGroups(groupOptions)
  const joined = groups.join(request, createClient())
  isOld = true
  await groups.renew()
  await expect(joined).rejects.toBe(gone)
  expect(stops).toBe(1)
  expect(groups.size).toEqual({ groups: 0, subscribers: 0 })
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
  const groups = createGroups(groupOptions)
  const handle = await groups.join(
    request(() => (isOld ? renewed.promise.then(() => request(() => undefined)) : undefined)),
    createClient(),
  )
  isOld = true
  const done = groups.renew()
  handle.leave()
  renewed.resolve()
  await done
  await Promise.resolve()
  expect(groups.size).toEqual({ groups: 0, subscribers: 0 })
  expect(open).toBe(0)
})

it('a group that ends between two schemas is found under neither of its keys', async () => {
  let schema = 1
  const opening = createDeferred()
  const followers: Follower<number>[] = []
  /** The key is the same in the first schema and in the third. */
  const request = (): SubscriptionRequest<number> => {
    const made = schema
    return {
      key: made === 2 ? 'other' : 'same',
      bytes: 0,
      source: new EventSource<number>(
        { kind: 'table', name: 'people' },
        {
          async open(follower) {
            if (schema === 2 && followers.length === 1) await opening.promise
            followers.push(follower)
            return () => undefined
          },
          live: () => Promise.resolve(),
        },
      ),
      render: String,
      renderTooLarge: String,
      renderEnd: String,
      renew: () => (made === schema ? undefined : Promise.resolve(request())),
    }
  }
  const groups = createGroups(groupOptions)
  const first = await groups.join(request(), createClient())
  schema = 2
  const renewed = groups.renew()
  await new Promise(resolve => setImmediate(resolve)) // the source of the second schema is being opened
  first.leave()
  opening.resolve()
  await renewed
  expect(groups.size).toEqual({ groups: 0, subscribers: 0 })

  const client = createClient()
  const handle = await groups.join(request(), client)
  schema = 3
  await groups.renew()
  expect(groups.size).toEqual({ groups: 1, subscribers: 1 })
  followers.at(-1)?.event(7)
  await expect.poll(() => client.texts).toEqual(['7'])
  handle.leave()
})

it('a request that becomes what another one was before joins it only if that stays the same', async () => {
  let schema = 0
  const followers = new Map<string, Follower<number>>()
  const keys: Readonly<Record<string, readonly [string, string]>> = {
    moves: ['one', 'two'],
    leaves: ['two', 'three'],
    stays: ['four', 'four'],
    comes: ['five', 'four'],
  }
  const request = (name: string): SubscriptionRequest<number> => {
    const made = schema
    return {
      key: keys[name]?.[made] ?? '',
      bytes: 0,
      source: new EventSource<number>(
        { kind: 'table', name },
        {
          async open(follower) {
            followers.set(name, follower)
            return () => undefined
          },
          live: () => Promise.resolve(),
        },
      ),
      render: event => `${name} ${event}`,
      renderTooLarge: String,
      renderEnd: String,
      renew: () => (made === schema ? undefined : Promise.resolve(request(name))),
    }
  }
  for (const order of [Object.keys(keys), Object.keys(keys).reverse()]) {
    schema = 0
    const groups = createGroups(groupOptions)
    const clients = new Map(order.map(name => [name, createClient()]))
    for (const [name, client] of clients) await groups.join(request(name), client)
    schema = 1
    await groups.renew()
    expect(groups.size).toEqual({ groups: 3, subscribers: 4 })
    for (const name of ['moves', 'leaves']) {
      followers.get(name)?.event(1)
      await expect.poll(() => clients.get(name)?.texts).toEqual([`${name} 1`])
    }
    const late = createClient()
    await groups.join(request('moves'), late)
    expect(groups.size).toEqual({ groups: 3, subscribers: 5 })
  }
})

it('a source that ends while it is being opened is refused with its reason, and leaves nothing', async () => {
  const groups = createGroups(groupOptions)
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
  await expect(groups.join(request, createClient())).rejects.toBe(lost)
  expect(groups.size).toEqual({ groups: 0, subscribers: 0 })
})

describe('groups with the same request under the next schema', () => {
  it('merge: each subscriber of either group gets every event once and in order, also while it waits for frames or catches up', async () => {
    const followers = new Set<Follower<number>>()
    const at = (event: number): Position => ({ n: event, token: 1, ord: 0, statement: 0, id: 0 })
    const history: number[] = []
    let dispatched = 0
    const asked: (() => void)[] = []
    const replay = {
      position: () => at(dispatched),
      start: () => at(dispatched),
      async read(after: Position) {
        await new Promise<void>(resolve => asked.push(resolve))
        const events = history.filter(event => event > after.n).slice(0, 3)
        return { events, position: at(events.at(-1) ?? after.n) }
      },
      seam: () => [],
    }
    const publish = () => {
      history.push(++dispatched)
      for (const follower of followers) follower.event(dispatched)
    }
    const { request, change } = createRenewable(() => ({
      async open(follower) {
        followers.add(follower)
        return () => void followers.delete(follower)
      },
      live: () => Promise.resolve(),
      positionOf: at,
      replay: () => replay,
    }))
    const groups = createGroups(groupOptions)
    let isSlow = true
    const [a, b, slow, late] = [
      createClient(),
      createClient(),
      createClient(() => !isSlow),
      createClient(),
    ] as const
    const clients = [a, b, slow, late]
    const inA = await groups.join(request('a'), a)
    await groups.join(request('b'), b)
    await groups.join(request('a'), slow)
    for (let i = 0; i < 5; i++) publish()
    const resuming = groups.join(request('a'), { ...late, after: at(0) })
    await waitUntil(() => asked.length > 0, 'the first page to be asked for')
    asked.shift()?.()
    await resuming
    publish()
    change()
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
      return clients.every(({ texts }) => texts.length >= all.length)
    }, 'all events')
    for (const { texts } of clients) expect(texts).toEqual(all)
    inA.leave()
    expect(groups.size).toEqual({ groups: 1, subscribers: 3 })
    expect(followers.size).toBe(1)
  })
})
