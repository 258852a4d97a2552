import { describe, expect, it } from 'vitest'
import { createGroups } from '../../src/delivery/groups.js'
import { joinGroup } from '../../src/delivery/membership.js'
import { createFrame } from '../../src/delivery/stream.js'
import { createDeferred } from '../../src/lib/deferred.js'
import { ListenqlError } from '../../src/lib/errors.js'
import { endOfBatch, type Position } from '../../src/log/position.js'
import type { Follower } from '../../src/sources/source.js'
import { at, createClient, createGroup, createRenewable, groupOptions, sent } from '../support/group.js'

it('a subscriber receives the events after it joined', async () => {
  const { group, follower } = createGroup()
  const [first, second] = [createClient(), createClient()]
  await joinGroup(group, first)
  follower().event(1) // Not rendered yet.
  await joinGroup(group, second)
  follower().event(2)
  await sent()
  expect([first.texts, second.texts]).toEqual([['1', '2'], ['2']])
})

it('a subscriber is accepted once the source is open and, during an outage, once the outage is over', async () => {
  const opened = createDeferred()
  const live = createDeferred()
  const { group } = createGroup({
    open: () => opened.promise.then(() => () => undefined),
    live: () => live.promise,
  })
  const steps: string[] = []
  const joined = joinGroup(group, createClient()).then(() => steps.push('joined'))
  await sent()
  expect(group.isOpen).toBe(false)
  steps.push('open')
  opened.resolve()
  await sent()
  expect(group.isOpen).toBe(true)
  steps.push('live')
  live.resolve()
  await joined
  expect(steps).toEqual(['open', 'live', 'joined'])
})

describe('a subscriber that resumes', () => {
  const past = (read: (after: Position) => Promise<{ events: number[]; position: Position }>) => ({
    replay: () => ({ position: () => at(2), start: () => at(2), seam: () => [], read }),
  })

  it('receives the past, then live events, each event once', async () => {
    const { group, follower } = createGroup(past(async () => ({ events: [1, 2], position: at(2) })))
    const client = createClient()
    const handle = await joinGroup(group, { ...client, after: at(0) })
    await expect.poll(() => client.texts).toEqual(['1', '2'])
    follower().event(2)
    follower().event(3)
    await sent()
    expect(client.texts).toEqual(['1', '2', '3'])
    handle.leave()
  })

  it('is refused at once if the past refuses its position, and leaves nothing', async () => {
    const expired = new ListenqlError('CURSOR_EXPIRED', 'it is gone')
    const { group, stopped } = createGroup(past(() => Promise.reject(expired)))
    await expect(joinGroup(group, { ...createClient(), after: at(0) })).rejects.toBe(expired)
    await sent()
    expect([group.size, stopped]).toEqual([0, [1]])
  })

  it('is refused if the source keeps no history', async () => {
    const { group } = createGroup({ replay: () => undefined })
    await expect(joinGroup(group, { ...createClient(), after: at(0) })).rejects.toMatchObject({
      code: 'CURSOR_INVALID',
    })
  })

  it('ends with an error if the past can no longer be read, and other subscribers continue', async () => {
    let pages = 0
    const { group, follower } = createGroup({
      replay: () => ({
        position: () => at(9),
        start: () => at(9),
        seam: () => [],
        read: async () =>
          pages++ === 0
            ? { events: [1], position: at(1) }
            : Promise.reject(new ListenqlError('CURSOR_EXPIRED', 'it is gone')),
      }),
    })
    const [late, other] = [createClient(), createClient()]
    await joinGroup(group, other)
    await joinGroup(group, { ...late, after: at(0) })
    await expect.poll(() => late.texts).toEqual(['1', 'last: CURSOR_EXPIRED'])
    follower().event(10)
    await sent()
    expect(other.texts).toEqual(['10'])
  })
})

it('a subscriber that waits for the first state gets that of the source which replaces the present one', async () => {
  const first = createDeferred()
  const second = createDeferred()
  let follower: Follower<number> | undefined
  const { request, change } = createRenewable((_key, schema) => ({
    open: async opened => {
      follower = opened
      return () => first.resolve() // only the first source is stopped
    },
    live: () => (schema === 1 ? first : second).promise,
    positionOf: at,
    stateOf: String,
  }))
  const groups = createGroups(groupOptions)
  const client = createClient()
  let hasJoined = false
  const joined = groups.join(request('a'), client).then(() => {
    hasJoined = true
  })
  await sent()
  change()
  await groups.renew()
  await sent()
  expect(hasJoined).toBe(false)
  follower?.event(7)
  second.resolve()
  await joined
  await sent()
  expect(client.texts).toEqual(['7'])
})

it('no mark of an end comes after the frame that ends the subscription', async () => {
  const frames = { announcement: createFrame('announced'), end: createFrame('end') }
  const pages = [Promise.resolve({ events: [1], position: endOfBatch(at(1)) })]
  const expired = () => Promise.reject(new ListenqlError('CURSOR_EXPIRED', 'it is gone'))
  const { group } = createGroup({
    replay: () => ({
      position: () => ({ ...at(1), n: 9 }),
      start: () => at(1),
      seam: () => [],
      read: () => pages.shift() ?? expired(),
    }),
  })
  const client = createClient()
  await joinGroup(group, { ...client, after: at(0), transactions: frames })
  await expect.poll(() => client.texts).toContain('last: CURSOR_EXPIRED')
  await sent()
  expect(client.texts).toEqual(['announced', '1', 'last: CURSOR_EXPIRED'])
})
