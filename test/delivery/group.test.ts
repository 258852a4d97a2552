import { describe, expect, it } from 'vitest'
import { createGroups } from '../../src/delivery/groups.js'
import { joinGroup } from '../../src/delivery/membership.js'
import { createDeferred } from '../../src/lib/deferred.js'
import { ListenqlError } from '../../src/lib/errors.js'
import type { Account } from '../../src/lib/limits/account.js'
import { LimitExceeded } from '../../src/lib/limits/limit-exceeded.js'
import type { Position } from '../../src/log/position.js'
import type { Follower } from '../../src/sources/source.js'
import { at, createClient, createGroup, createRenewable, groupOptions, sent } from '../support/group.js'

/** Creates an account that a test can empty. */
function createAccount() {
  let paid = 0
  let refusal: LimitExceeded | undefined
  const account: Account = {
    refusal: () => refusal,
    pay(steps) {
      paid += steps
    },
  }
  return {
    account,
    paid: () => paid,
    empty() {
      refusal = new LimitExceeded('filterRate', 1, 'spent')
    },
  }
}

it('a group opens one source, and renders each event once for all subscribers, in order', async () => {
  const { group, rendered, followers, follower } = createGroup()
  const clients = [createClient(), createClient(), createClient()]
  await Promise.all(clients.map(client => joinGroup(group, client)))
  for (const event of [1, 2, 3]) follower().event(event)
  await sent()
  for (const { texts } of clients) expect(texts).toEqual(['1', '2', '3'])
  expect(rendered).toEqual([1, 2, 3])
  expect([followers.length, group.size]).toEqual([1, 3])
})

it('the source is stopped once, when the last subscriber has left, and subscribers that have left receive nothing', async () => {
  const { group, stopped, follower, timesEmptied } = createGroup()
  const [first, second] = [createClient(), createClient()]
  const one = await joinGroup(group, first)
  const other = await joinGroup(group, second)
  one.leave()
  one.leave()
  await sent()
  expect([stopped, group.isOver]).toEqual([[], false])
  follower().event(1)
  await sent()
  expect([first.texts, second.texts]).toEqual([[], ['1']])
  other.leave()
  await sent()
  expect([stopped, timesEmptied(), group.isOver]).toEqual([[1], 1, true])
})

it('a source that opens after its only subscriber has left is stopped', async () => {
  const opened = createDeferred()
  let stopped = 0
  const { group } = createGroup({ open: () => opened.promise.then(() => () => void stopped++) })
  const leaving = new AbortController()
  const joined = joinGroup(group, createClient(), leaving.signal)
  leaving.abort(new Error('gone'))
  await expect(joined).rejects.toThrow('gone')
  opened.resolve()
  await sent()
  expect([stopped, group.size]).toEqual([1, 0])
})

describe('the end of the source', () => {
  it('reaches all subscribers after the earlier events, and prevents later joins', async () => {
    const { group, follower, timesEmptied } = createGroup()
    const client = createClient()
    await joinGroup(group, client)
    follower().event(1)
    const error = new ListenqlError('SCHEMA_CHANGED', 'the table is gone')
    follower().end(error)
    follower().event(2)
    follower().end(new ListenqlError('FORBIDDEN', 'a second end'))
    await sent()
    expect(client.texts).toEqual(['1', 'last: SCHEMA_CHANGED'])
    expect([group.isOver, timesEmptied()]).toEqual([true, 1])
    await expect(joinGroup(group, createClient())).rejects.toBe(error)
  })
})

describe('a new source after a change of the schema', () => {
  const createMeant = (meaningOf: (schema: number) => string) => {
    const followers: Follower<number>[] = []
    const { request, change } = createRenewable((_key, schema) => ({
      meaning: meaningOf(schema),
      open: async follower => {
        followers.push(follower)
        return () => undefined
      },
      live: async () => undefined,
      positionOf: at,
    }))
    return { request: request('a'), followers, change }
  }

  it('continues the former one if its names have the same meaning', async () => {
    const { request, followers, change } = createMeant(() => 'people')
    const groups = createGroups(groupOptions)
    const client = createClient()
    await groups.join(request, client)
    followers[0]?.event(1)
    change()
    await groups.renew()
    followers[1]?.event(2)
    await sent()
    expect(client.texts).toEqual(['1', '2'])
  })

  it('ends the subscriptions after earlier events if its names have another meaning, and is not opened', async () => {
    const { request, followers, change } = createMeant(schema => `table ${schema}`)
    const groups = createGroups(groupOptions)
    const client = createClient()
    await groups.join(request, client)
    followers[0]?.event(1)
    change()
    await groups.renew()
    followers[0]?.event(2)
    await sent()
    expect(client.texts).toEqual(['1', 'last: CURSOR_EXPIRED'])
    expect(followers).toHaveLength(1)
  })
})

describe('shared work', () => {
  it('is paid by the first subscriber and, after that one has left, by the next', async () => {
    const { group, follower } = createGroup()
    const [first, second] = [createAccount(), createAccount()]
    const handle = await joinGroup(group, { ...createClient(), account: first.account })
    await joinGroup(group, { ...createClient(), account: second.account })
    follower().account?.pay(5)
    handle.leave()
    follower().account?.pay(7)
    expect([first.paid(), second.paid()]).toEqual([5, 7])
  })

  it('ends the subscriptions that cannot pay, and no other', async () => {
    const { group, follower } = createGroup()
    const [first, second] = [createClient(), createClient()]
    const [poor, rich] = [createAccount(), createAccount()]
    await joinGroup(group, { ...first, account: poor.account })
    await joinGroup(group, { ...second, account: rich.account })
    follower().event(1)
    await sent()
    poor.empty()
    expect(follower().account?.refusal()).toBe(undefined)
    follower().event(2)
    await sent()
    expect(first.texts).toEqual(['1', 'last: LIMIT_EXCEEDED'])
    expect(second.texts).toEqual(['1', '2'])
    rich.empty()
    expect(follower().account?.refusal()).toMatchObject({ limit: 'filterRate' })
  })
})

describe('where a subscriber skips events that it has read from the log, no event combines changes before and after', () => {
  /** Sources whose log has been read up to 7, while the live changes are at 5. */
  function createSplit() {
    const splits: { schema: number; at: Position }[] = []
    const { request, change } = createRenewable((_key, schema) => ({
      open: async () => () => undefined,
      live: () => Promise.resolve(),
      positionOf: at,
      replay: () => ({
        position: () => at(5),
        start: () => at(5),
        seam: () => [],
        read: async () => ({ events: [], position: at(7) }),
        split: position => splits.push({ schema, at: position }),
      }),
    }))
    return { request, splits, change }
  }

  it('in the source that replaces another one', async () => {
    const { request, splits, change } = createSplit()
    const groups = createGroups(groupOptions)
    await groups.join(request('a'), { ...createClient(), after: at(3) })
    await expect.poll(() => splits).toEqual([{ schema: 1, at: at(7) }])
    change()
    await groups.renew()
    expect(splits.slice(1)).toEqual([{ schema: 2, at: at(7) }])
  })

  it('in the source of a group into which another one merges', async () => {
    const { request, splits, change } = createSplit()
    const groups = createGroups(groupOptions)
    await groups.join(request('a'), createClient())
    await groups.join(request('b'), { ...createClient(), after: at(3) })
    await expect.poll(() => splits.length).toBe(1)
    change()
    await groups.renew()
    expect(groups.size).toEqual({ groups: 1, subscribers: 2 })
    // In the new source of its own group, and in that of the other one.
    expect(splits.slice(1)).toEqual([
      { schema: 2, at: at(7) },
      { schema: 2, at: at(7) },
    ])
  })
})

describe('events that are states, each of which replaces all earlier ones', () => {
  it('a new subscriber begins with the newest state, and then gets the same as all others', async () => {
    const { group, rendered, follower } = createGroup({ stateOf: String })
    const [early, late] = [createClient(), createClient()]
    await joinGroup(group, early)
    for (const state of [1, 2]) follower().event(state)
    await joinGroup(group, late)
    await sent()
    follower().event(3)
    await sent()
    expect([early.texts, late.texts]).toEqual([
      ['2', '3'],
      ['2', '3'],
    ])
    expect(rendered).toEqual([1, 2, 3])
  })

  it('a subscriber that joins while a large state is being rendered gets it when it is done', async () => {
    let parts = 3
    const { group, rendered, follower } = createGroup(
      { stateOf: String },
      { ...groupOptions, prepare: () => --parts <= 0 },
    )
    const [early, late] = [createClient(), createClient()]
    await joinGroup(group, early)
    follower().event(1)
    const handle = await joinGroup(group, late)
    expect([parts, rendered, handle.position()]).toEqual([3, [], undefined])
    await expect.poll(() => [early.texts, late.texts]).toEqual([['1'], ['1']])
    expect([parts, rendered, handle.position()]).toEqual([0, [1], at(1)])
  })

  it('a state that is being rendered when the right to it is lost is not sent', async () => {
    const { group, follower } = createGroup(
      { stateOf: String },
      { ...groupOptions, prepare: event => event === 1 },
    )
    const client = createClient()
    await joinGroup(group, client)
    follower().event(1)
    await sent()
    follower().event(2)
    follower().end(new ListenqlError('FORBIDDEN', 'no more'))
    await expect.poll(() => client.texts).toEqual(['1', 'last: FORBIDDEN'])
  })

  it('a client that takes nothing for a while gets the newest state only', async () => {
    let isOpen = true
    const { group, follower } = createGroup({ stateOf: String })
    const client = createClient(() => isOpen)
    await joinGroup(group, client)
    follower().event(1)
    await sent()
    isOpen = false
    for (const state of [2, 3, 4]) {
      follower().event(state)
      await sent()
    }
    isOpen = true
    client.outbound.resume()
    await sent()
    expect(client.texts).toEqual(['1', '4'])
  })

  it('the position of a subscriber is that at which the source says the newest state holds', async () => {
    let holdsAt: number | undefined
    const { group, follower } = createGroup({
      stateOf: String,
      holdsAt: () => (holdsAt === undefined ? undefined : at(holdsAt)),
    })
    const handle = await joinGroup(group, createClient())
    follower().event(3)
    await sent()
    expect(handle.position()).toEqual(at(3))
    holdsAt = 7
    expect(handle.position()).toEqual(at(7))
    follower().event(8)
    expect(handle.position()).toEqual(at(3)) // the state of 8 has not been sent
    holdsAt = undefined
    await sent()
    expect(handle.position()).toEqual(at(8))
  })

  /** A request whose source begins with a state at once, and whose key is the same for all under the next schema. */
  function createStates() {
    const followers = new Map<string, Follower<number>>()
    let first = 1
    const { request, change } = createRenewable(key => ({
      async open(follower) {
        followers.set(key, follower)
        follower.event(first)
        return () => {
          if (followers.get(key) === follower) followers.delete(key)
        }
      },
      live: () => Promise.resolve(),
      positionOf: at,
      stateOf: String,
    }))
    return {
      request,
      followers,
      /** The schema changes, and new sources begin with this state. */
      change(state: number) {
        change()
        first = state
      },
    }
  }

  it('a new source after a change of the schema sends its first state only if it differs from the last one', async () => {
    const states = createStates()
    const groups = createGroups(groupOptions)
    const client = createClient()
    await groups.join(states.request('a'), client)
    await sent()
    states.change(1)
    await groups.renew()
    await sent()
    expect(client.texts).toEqual(['1'])
    states.change(2)
    await groups.renew()
    await sent()
    expect(client.texts).toEqual(['1', '2'])
  })

  it('groups that merge send a state again only if it differs', async () => {
    const states = createStates()
    const groups = createGroups(groupOptions)
    const [a, b] = [createClient(), createClient()]
    await groups.join(states.request('a'), a)
    await groups.join(states.request('b'), b)
    await sent()
    states.change(1)
    await groups.renew()
    await sent()
    expect(groups.size).toEqual({ groups: 1, subscribers: 2 })
    for (const follower of states.followers.values()) follower.event(7)
    await sent()
    expect([a.texts, b.texts]).toEqual([
      ['1', '7'],
      ['1', '7'],
    ])
  })

  it('groups that merge all show the newest state of the one that remains', async () => {
    const states = createStates()
    const groups = createGroups(groupOptions)
    const [a, b] = [createClient(), createClient()]
    await groups.join(states.request('a'), a)
    await groups.join(states.request('b'), b)
    states.followers.get('a')?.event(5)
    await sent()
    states.change(6)
    await groups.renew()
    await sent()
    expect(groups.size).toEqual({ groups: 1, subscribers: 2 })
    expect([a.texts.at(-1), b.texts.at(-1)]).toEqual(['6', '6'])
    for (const follower of states.followers.values()) follower.event(7)
    await sent()
    expect([a.texts.at(-1), b.texts.at(-1)]).toEqual(['7', '7'])
  })

  it.each([
    ['a', 10],
    ['b', 10],
    ['a', 9],
    ['b', 9],
  ])(
    'groups that merge show no state of the other one before the schema changed, and none that is older: %s is ahead, and the next state is %s',
    async (ahead, next) => {
      const followers = new Map<string, Follower<number>>()
      const { request, change } = createRenewable(
        key => ({
          async open(follower) {
            followers.set(key, follower)
            return () => {
              if (followers.get(key) === follower) followers.delete(key)
            }
          },
          live: () => Promise.resolve(),
          positionOf: at,
          stateOf: String,
        }),
        (event, key, schema) => (schema === 1 ? `${event} of ${key}` : String(event)),
      )
      const groups = createGroups(groupOptions)
      const clients = { a: createClient(), b: createClient() }
      for (const key of ['a', 'b'] as const) {
        await groups.join(request(key), clients[key])
        followers.get(key)?.event(key === ahead ? 9 : 1)
      }
      await sent()
      change() // the new sources are still reading
      await groups.renew()
      await sent()
      expect(groups.size).toEqual({ groups: 1, subscribers: 2 })
      const before = { a: [`${ahead === 'a' ? 9 : 1} of a`], b: [`${ahead === 'b' ? 9 : 1} of b`] }
      expect({ a: clients.a.texts, b: clients.b.texts }).toEqual(before)
      for (const state of [next, 11]) {
        for (const follower of followers.values()) follower.event(state)
        await sent()
      }
      for (const key of ['a', 'b'] as const)
        expect(clients[key].texts).toEqual(
          key === ahead && next === 9 ? [...before[key], '11'] : [...before[key], String(next), '11'],
        )
    },
  )
})
