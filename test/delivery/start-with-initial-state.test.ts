import { describe, expect, it } from 'vitest'
import { joinGroup } from '../../src/delivery/membership.js'
import type { GroupOptions } from '../../src/delivery/subscription.js'
import { createDeferred } from '../../src/lib/deferred.js'
import { ListenqlError } from '../../src/lib/errors.js'
import { createClientMemory } from '../../src/lib/limits/client-memory.js'
import { type Position, START_OVER } from '../../src/log/position.js'
import type { InitialState } from '../../src/sources/initial-state.js'
import type { SourceOptions } from '../../src/sources/source.js'
import { at, createClient, createGroup, groupOptions, sent } from '../support/group.js'

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

  it('a group that no client subscribes to any more does not open its source again', async () => {
    const { handle, group, follower, followers } = await createJoined()
    const left = follower()
    handle.leave()
    left.end(expired)
    await sent()
    expect([group.isOver, followers.length]).toEqual([true, 1])
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
