import { describe, expect, it } from 'vitest'
import type { GroupOptions } from '../../../src/delivery/group-options.js'
import { createGroups } from '../../../src/delivery/groups.js'
import { joinGroup } from '../../../src/delivery/membership.js'
import { createDeferred } from '../../../src/lib/deferred.js'
import { ListenqlError } from '../../../src/lib/errors.js'
import { createClientMemory } from '../../../src/lib/limits/client-memory.js'
import { type Position, START_OVER } from '../../../src/log/position.js'
import type { InitialState } from '../../../src/sources/initial-state.js'
import type { Follower, SourceOptions } from '../../../src/sources/source.js'
import { at, createClient, createGroup, createRenewable, groupOptions, sent } from '../../support/group.js'

const expired = new ListenqlError('CURSOR_EXPIRED', 'it is gone')
const RESET = -1

/** A source whose state is the number of its position, and whose log ends at `live.at`. */
function createSource(options: Partial<SourceOptions<number>> = {}, group: GroupOptions = groupOptions) {
  const live = { at: 5, expiredUpTo: 0, resets: 0 }
  const states: { resolve: (state: InitialState<number>) => void; reject: (error: unknown) => void }[] = []
  const created = createGroup(
    {
      positionOf: event => (event === RESET || event >= 100 ? START_OVER : at(event)),
      initialState: {
        read: () =>
          new Promise<InitialState<number>>((resolve, reject) => {
            states.push({ resolve, reject })
          }),
        reset() {
          live.resets++
          return RESET
        },
        startsOverAfter: error => error === expired,
      },
      replay: () => ({
        position: () => at(live.at),
        start: () => at(live.at),
        seam: () => [],
        async read(after: Position) {
          if (after.id < live.expiredUpTo) throw expired
          const events = Array.from({ length: Math.max(0, live.at - after.id) }, (_, i) => after.id + 1 + i)
          return { events, position: at(Math.max(live.at, after.id)) }
        },
      }),
      ...options,
    },
    group,
  )
  /** Answers the oldest read of the state. */
  const answer = async (...events: number[]) => {
    await expect.poll(() => states.length).toBeGreaterThan(0)
    const position = at(events.at(-1) as number)
    states.shift()?.resolve({ events, position, bytes: 100 })
  }
  return { ...created, live, states, answer }
}

describe('a subscriber that begins with the present state', () => {
  it('is accepted once the state is read, gets it, then the log, then live events, each once', async () => {
    const { group, follower, answer } = createSource()
    const client = createClient()
    const joined = joinGroup(group, client)
    await answer(100, 101, 3)
    const handle = await joined
    expect(handle.position()).toEqual(START_OVER)
    await expect.poll(() => client.texts).toEqual(['100', '101', '3', '4', '5'])
    follower().event(5)
    follower().event(6)
    await sent()
    expect(client.texts.at(-1)).toBe('6')
    expect(handle.position()).toEqual(at(6))
    handle.leave()
  })

  it('has no position of the log before it has the whole state', async () => {
    const { group, answer } = createSource()
    let most = 1
    const client = createClient(() => client.texts.length < most)
    const joined = joinGroup(group, client)
    await answer(100, 101, 5)
    const handle = await joined
    await expect.poll(() => client.texts.length).toBeGreaterThan(0)
    expect(handle.position()).toEqual(START_OVER)
    most = 9
    client.outbound.resume()
    await expect.poll(() => handle.position()).toEqual(at(5))
    handle.leave()
  })

  it('is refused with the error of the read', async () => {
    const { group, states } = createSource()
    const refused = new ListenqlError('LIMIT_EXCEEDED', 'too many')
    const joined = joinGroup(group, createClient())
    await expect.poll(() => states.length).toBe(1)
    states[0]?.reject(refused)
    await expect(joined).rejects.toBe(refused)
    expect(group.size).toBe(0)
  })

  it('with a position gets only later events; if that has expired, a reset and the state', async () => {
    const { group, live, answer } = createSource()
    const [good, late] = [createClient(), createClient()]
    await joinGroup(group, { ...good, after: at(3) })
    await expect.poll(() => good.texts).toEqual(['4', '5'])
    live.expiredUpTo = 4
    for (const after of [at(3), START_OVER]) {
      late.texts.length = 0
      const joined = joinGroup(group, { ...late, after })
      await answer(100, 5)
      const handle = await joined
      await expect.poll(() => late.texts).toEqual(['-1', '100', '5'])
      handle.leave()
    }
  })
})

describe('when the history ends', () => {
  async function createJoined() {
    const created = createSource()
    const client = createClient()
    const joined = joinGroup(created.group, client)
    await created.answer(100, 5)
    const handle = await joined
    await expect.poll(() => client.texts).toEqual(['100', '5'])
    await sent()
    return { ...created, client, handle }
  }

  it('the group opens its source again, and each subscriber begins again after the events that wait for it', async () => {
    const { group, client, handle, followers, live, answer } = await createJoined()
    followers[0]?.event(6)
    live.at = 8
    live.expiredUpTo = 8
    followers[0]?.end(expired)
    expect(handle.position()).not.toEqual(at(8))
    await expect.poll(() => followers.length).toBe(2)
    followers[1]?.event(9) // of the new history: not before the state
    live.at = 9
    await answer(101, 8)
    await expect.poll(() => client.texts).toEqual(['100', '5', '6', '-1', '101', '8', '9'])
    followers[1]?.event(10)
    live.at = 10
    await sent()
    expect(client.texts.at(-1)).toBe('10')
    expect([group.isOver, handle.position()]).toEqual([false, at(10)])
    handle.leave()
  })

  it('nothing is missed while the source is opened again', async () => {
    const opened = createDeferred()
    let opens = 0
    const { group, live, answer, follower, followers } = createSource()
    const open = group.source.open.bind(group.source)
    group.source.open = async (...args) => {
      if (opens++ > 0) await opened.promise
      return open(...args)
    }
    const client = createClient()
    const joined = joinGroup(group, { ...client, after: at(5) })
    const handle = await joined
    await sent()
    live.expiredUpTo = 6
    live.at = 7
    opens = 1
    follower().end(expired)
    await sent()
    live.at = 8 // not delivered: the source is not open
    opened.resolve()
    await expect.poll(() => followers.length).toBe(2)
    await answer(100, 7)
    await expect.poll(() => client.texts).toEqual(['-1', '100', '7', '8'])
    handle.leave()
  })

  it('an error of reading the state again ends the subscriber; other errors of the source end the group', async () => {
    const { group, client, follower, states } = await createJoined()
    follower().end(expired)
    await expect.poll(() => states.length).toBe(1)
    states[0]?.reject(new ListenqlError('FORBIDDEN', 'no'))
    await expect.poll(() => client.texts.at(-1)).toBe('last: FORBIDDEN')
    follower().end(new ListenqlError('SCHEMA_CHANGED', 'no'))
    expect(group.end?.code).toBe('SCHEMA_CHANGED')
  })

  it('of a subscriber that still catches up: it gets a reset and starts over, also while it takes the state', async () => {
    for (const taken of [1, 2, 3]) {
      const { group, follower, live, answer, states } = createSource()
      let most = 0
      const client = createClient(() => client.texts.length < most)
      const joined = joinGroup(group, client)
      await answer(100, 3)
      const handle = await joined
      most = taken
      client.outbound.resume()
      await expect.poll(() => client.texts.length).toBe(taken)
      live.at = 9
      live.expiredUpTo = 8
      follower().end(expired)
      most = 99
      client.outbound.resume()
      await answer(101, 8)
      await expect.poll(() => client.texts.slice(-4)).toEqual(['-1', '101', '8', '9'])
      expect(states).toEqual([])
      handle.leave()
    }
  })

  it('before the subscriber is accepted, it starts in the history that follows, without a reset', async () => {
    const { group, live, follower, followers, states, answer } = createSource()
    const client = createClient()
    const joined = joinGroup(group, client)
    await expect.poll(() => states.length).toBe(1)
    follower().end(expired)
    await expect.poll(() => followers.length).toBe(2)
    live.at = 9
    await answer(100, 5)
    await answer(101, 9)
    const handle = await joined
    await expect.poll(() => client.texts).toEqual(['101', '9'])
    handle.leave()
  })

  it('its subscribers share one read and one reset event', async () => {
    const { group, live, follower, states, answer } = createSource()
    const clients = Array.from({ length: 3 }, () => createClient())
    for (const client of clients) {
      const joined = joinGroup(group, client)
      await answer(100, 5)
      await joined
    }
    follower().end(expired)
    await answer(101, 6)
    for (const { texts } of clients) await expect.poll(() => texts.slice(-3)).toEqual(['-1', '101', '6'])
    expect(states).toEqual([])
    expect(live.resets).toBe(1) // the same object, so that its frame is rendered once
  })

  it('and the group cannot open its source again, the subscribers get its error, be it one after which they would start over', async () => {
    const created = createSource()
    const open = created.group.source.open.bind(created.group.source)
    const client = createClient()
    const joined = joinGroup(created.group, client)
    await created.answer(100, 5)
    await joined
    await expect.poll(() => client.texts).toEqual(['100', '5'])
    created.group.source.open = async (...args) => {
      void open(...args)
      throw expired
    }
    created.follower().end(expired)
    await expect.poll(() => client.texts.at(-1)).toBe('last: CURSOR_EXPIRED')
    expect(created.states).toEqual([])
  })

  it('and then the group ends, too: a subscriber that reads the state again gets that end', async () => {
    for (const code of ['DATABASE_FAILED', 'SCHEMA_CHANGED'] as const) {
      const { client, follower, states } = await createJoined()
      follower().end(expired)
      await expect.poll(() => states.length).toBe(1)
      states[0]?.reject(new ListenqlError('DATABASE_FAILED', 'the database is away'))
      follower().end(new ListenqlError(code, 'the end'))
      await expect.poll(() => client.texts).toEqual(['100', '5', `last: ${code}`])
    }
  })

  it('the source is opened again until the database answers, and the new schema is in force', async () => {
    const { group, client, handle, follower, followers, live, answer } = await createJoined()
    const open = group.source.open.bind(group.source)
    const failures = (['DATABASE_FAILED', 'SCHEMA_CHANGED'] as const).map(
      code => new ListenqlError(code, 'no'),
    )
    group.source.open = async (...args) => {
      const failure = failures.shift()
      if (failure) throw failure
      return open(...args)
    }
    follower().end(expired)
    live.at = 6
    await answer(101, 6)
    await expect.poll(() => client.texts.slice(2)).toEqual(['-1', '101', '6'])
    expect([failures, followers.length]).toEqual([[], 2])
    handle.leave()
  })

  it.each(['opens', 'fails to open'])(
    'while the source opens, a subscriber waits until it is open again, whether the former one %s',
    async outcome => {
      const [first, second] = [createDeferred(), createDeferred()]
      const opened: Follower<number>[] = []
      const { group, live, answer, states } = createSource({
        async open(follower) {
          const isFirst = opened.push(follower) === 1
          await (isFirst ? first : second).promise
          if (isFirst && outcome !== 'opens') throw expired
          return () => undefined
        },
      })
      const client = createClient()
      const joined = joinGroup(group, client)
      opened[0]?.end(expired)
      first.resolve()
      await sent()
      expect([opened.length, states.length]).toEqual([2, 0])
      live.at = 6 // a change that no source follows yet
      second.resolve()
      await answer(100, 6)
      const handle = await joined
      await expect.poll(() => client.texts).toEqual(['100', '6'])
      await sent()
      opened[0]?.event(7) // the former one is not stopped yet
      opened[1]?.event(7)
      await sent()
      await expect.poll(() => client.texts).toEqual(['100', '6', '7'])
      handle.leave()
    },
  )

  it('twice right after the subscriber has joined: it starts over once', async () => {
    const { group, follower, answer, states } = createSource()
    const client = createClient()
    const joined = joinGroup(group, client)
    const flushed = group.fanOut.flushed.bind(group.fanOut)
    let ends = 0
    const end = () => {
      for (; ends < 2; ends++) follower().end(expired)
    }
    group.fanOut.flushed = () => {
      queueMicrotask(end)
      return flushed()
    }
    await answer(100, 5)
    const handle = await joined
    await answer(101, 5)
    await expect.poll(() => client.texts.length).toBeGreaterThan(4)
    await sent()
    expect([client.texts, states]).toEqual([['100', '5', '-1', '101', '5'], []])
    handle.leave()
  })

  it('a subscriber has no position of the group while its source is not open', async () => {
    const { group, live, handle, follower } = await createJoined()
    group.source.open = () => new Promise(() => undefined)
    live.at = 9
    follower().end(expired)
    expect([group.livePosition, handle.position()]).toEqual([undefined, at(5)])
    handle.leave()
  })

  it('a group that no client subscribes to any more does not open its source again', async () => {
    const { handle, group, follower, followers } = await createJoined()
    const left = follower()
    handle.leave()
    left.end(expired)
    await sent()
    expect([group.isOver, followers.length]).toEqual([true, 1])
  })
})

describe('when its group merges into another one while it reads the state', () => {
  function createMerging() {
    const states: (() => void)[] = []
    const followers = new Map<string, Follower<number>>()
    const { request, change } = createRenewable(key => ({
      async open(follower) {
        followers.set(key, follower)
        return () => undefined
      },
      live: async () => undefined,
      positionOf: event => (event === 5 ? at(event) : START_OVER),
      initialState: {
        read: signal =>
          new Promise((resolve, reject) => {
            signal?.addEventListener('abort', () => reject(signal.reason))
            states.push(() => resolve({ events: [100, 5], position: at(5), bytes: 100 }))
          }),
        reset: () => RESET,
        startsOverAfter: error => error === expired,
      },
      replay: () => ({
        position: () => at(5),
        start: () => at(5),
        seam: () => [],
        read: async () => ({ events: [], position: at(5) }),
      }),
    }))
    const groups = createGroups(groupOptions)
    const answer = async () => {
      await expect.poll(() => states.length).toBeGreaterThan(0)
      for (const state of states.splice(0)) state()
    }
    const join = async (key: string) => {
      const client = createClient()
      const joined = groups.join(request(key), client)
      await answer()
      await joined
      await expect.poll(() => client.texts).toEqual(['100', '5'])
      return client
    }
    const merge = async () => {
      change()
      await groups.renew()
      expect(groups.size.groups).toBe(1)
    }
    return { groups, request, states, followers, answer, join, merge }
  }

  it('a subscriber that starts over does so in the other group', async () => {
    const { states, followers, answer, join, merge } = createMerging()
    const clients = [await join('a'), await join('b')]
    for (const follower of followers.values()) follower.end(expired)
    await expect.poll(() => states.length).toBe(2)
    await merge()
    await answer()
    for (const { texts } of clients) await expect.poll(() => texts).toEqual(['100', '5', '-1', '100', '5'])
  })

  it('a new subscriber is accepted by the other group', async () => {
    const { groups, request, states, answer, join, merge } = createMerging()
    await join('a')
    await join('b')
    const client = createClient()
    const joined = groups.join(request('b'), client)
    await expect.poll(() => states.length).toBe(1)
    await merge()
    await answer()
    await answer() // it reads again, in the history of the other group
    await joined
    await expect.poll(() => client.texts).toEqual(['100', '5'])
  })
})

describe('when there is no room for the state', () => {
  it('a new subscriber is refused, and one that starts over waits', async () => {
    const memory = createClientMemory(1000)
    const full = createSource({}, { ...groupOptions, memory })
    const other = memory.hold(400)
    const refused = joinGroup(full.group, createClient())
    await full.answer(100, 5)
    await expect(refused).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED', limit: 'maxClientMemory' })
    other.release()
    const { group, follower, states, answer } = createSource({}, { ...groupOptions, memory })
    const client = createClient()
    const joined = joinGroup(group, client)
    await answer(100, 5)
    const handle = await joined
    await expect.poll(() => client.texts).toEqual(['100', '5'])
    expect(memory.held).toBe(0)
    const another = memory.hold(400)
    follower().end(expired)
    await answer(101, 6)
    await expect.poll(() => states.length).toBe(1) // it reads again: there was no room for the first one
    another.release()
    await answer(102, 6)
    await expect.poll(() => client.texts.slice(-3)).toEqual(['-1', '102', '6'])
    handle.leave()
    expect(memory.held).toBe(0)
  })
})
