import { describe, expect, it } from 'vitest'
import { createBackpressure } from '../../src/delivery/backpressure.js'
import { Group } from '../../src/delivery/group.js'
import { Outbound } from '../../src/delivery/outbound.js'
import { createScheduler } from '../../src/delivery/scheduler.js'
import type { SubscriptionRequest } from '../../src/delivery/subscription.js'
import { createDeferred } from '../../src/lib/deferred.js'
import { ListenqlError } from '../../src/lib/errors.js'
import type { Account } from '../../src/lib/limits/account.js'
import { createClientMemory } from '../../src/lib/limits/client-memory.js'
import { LimitExceeded } from '../../src/lib/limits/limit-exceeded.js'
import type { Stop } from '../../src/lib/stop.js'
import type { Position } from '../../src/log/position.js'
import { EventSource, type Follower, type SourceOptions } from '../../src/sources/source.js'

const observe = () => undefined
const scheduler = createScheduler(error => {
  throw error
})
const backpressure = createBackpressure({ maxBuffer: 1e6, scheduler, observe })
const memory = createClientMemory(1e9)
/** Resolves once every pending event has been rendered and sent. */
const sent = () => new Promise<void>(resolve => scheduler.afterwards(resolve))
const at = (id: number): Position => ({ n: 1, token: 1, ord: 1, statement: 1, id })

/** The connection of one client, and the texts that were sent to the client. */
function createClient() {
  const texts: string[] = []
  const outbound = new Outbound({
    sink: {
      writable: true,
      held: 0,
      frame: (_subscriber, { text, isFinal }) => void texts.push(isFinal ? `last: ${text}` : text),
      control: () => undefined,
      begin: () => undefined,
      end: () => undefined,
      cut: reason => void texts.push(`cut: ${reason}`),
    },
    transport: 'test',
    remote: '',
    maxBuffer: 1e6,
    stallTimeout: 1e6,
    scheduler,
    backpressure,
    memory,
    observe,
  })
  return { id: '', outbound, texts }
}

/** Creates a group, and the calls that its source receives. */
function createTested(options: Partial<SourceOptions<number>> = {}) {
  const followers: Follower<number>[] = []
  const rendered: number[] = []
  const stopped: number[] = []
  let emptied = 0
  const request: SubscriptionRequest<number> = {
    key: 'same',
    bytes: 0,
    source: new EventSource<number>(
      { kind: 'table', name: 'people' },
      {
        async open(follower): Promise<Stop> {
          const number = followers.push(follower)
          return () => void stopped.push(number)
        },
        live: async () => undefined,
        positionOf: at,
        ...options,
      },
    ),
    render(event) {
      rendered.push(event)
      return String(event)
    },
    renderTooLarge: String,
    renderEnd: ({ code }) => code,
    renew: () => undefined,
  }
  const group = new Group(
    request as unknown as SubscriptionRequest<unknown>,
    { maxEvent: 1e6, scheduler, backpressure, memory, observe },
    () => emptied++,
  )
  return {
    group,
    rendered,
    stopped,
    followers,
    follower: () => followers.at(-1) as Follower<number>,
    timesEmptied: () => emptied,
  }
}

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
  const { group, rendered, followers, follower } = createTested()
  const clients = [createClient(), createClient(), createClient()]
  await Promise.all(clients.map(client => group.join(client)))
  for (const event of [1, 2, 3]) follower().event(event)
  await sent()
  for (const { texts } of clients) expect(texts).toEqual(['1', '2', '3'])
  expect(rendered).toEqual([1, 2, 3])
  expect([followers.length, group.size]).toEqual([1, 3])
})

it('a subscriber receives the events after it joined', async () => {
  const { group, follower } = createTested()
  const [first, second] = [createClient(), createClient()]
  await group.join(first)
  follower().event(1) // Not rendered yet.
  await group.join(second)
  follower().event(2)
  await sent()
  expect([first.texts, second.texts]).toEqual([['1', '2'], ['2']])
})

it('a subscriber is accepted once the source is open and, during an outage, once the outage is over', async () => {
  const opened = createDeferred()
  const live = createDeferred()
  const { group } = createTested({
    open: () => opened.promise.then(() => () => undefined),
    live: () => live.promise,
  })
  const steps: string[] = []
  const joined = group.join(createClient()).then(() => steps.push('joined'))
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

it('the source is stopped once, when the last subscriber has left, and subscribers that have left receive nothing', async () => {
  const { group, stopped, follower, timesEmptied } = createTested()
  const [first, second] = [createClient(), createClient()]
  const one = await group.join(first)
  const other = await group.join(second)
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
  const { group } = createTested({ open: () => opened.promise.then(() => () => void stopped++) })
  const leaving = new AbortController()
  const joined = group.join(createClient(), leaving.signal)
  leaving.abort(new Error('gone'))
  await expect(joined).rejects.toThrow('gone')
  opened.resolve()
  await sent()
  expect([stopped, group.size]).toEqual([1, 0])
})

describe('the end of the source', () => {
  it('reaches all subscribers after the earlier events, and prevents later joins', async () => {
    const { group, follower, timesEmptied } = createTested()
    const client = createClient()
    await group.join(client)
    follower().event(1)
    const error = new ListenqlError('SCHEMA_CHANGED', 'the table is gone')
    follower().end(error)
    follower().event(2)
    follower().end(new ListenqlError('FORBIDDEN', 'a second end'))
    await sent()
    expect(client.texts).toEqual(['1', 'last: SCHEMA_CHANGED'])
    expect([group.isOver, timesEmptied()]).toEqual([true, 1])
    await expect(group.join(createClient())).rejects.toBe(error)
  })
})

describe('a subscriber that resumes', () => {
  const past = (read: (after: Position) => Promise<{ events: number[]; position: Position }>) => ({
    replay: () => ({ position: () => at(2), start: () => at(2), seam: () => [], read }),
  })

  it('receives the past, then live events, each event once', async () => {
    const { group, follower } = createTested(past(async () => ({ events: [1, 2], position: at(2) })))
    const client = createClient()
    const handle = await group.join({ ...client, after: at(0) })
    await expect.poll(() => client.texts).toEqual(['1', '2'])
    follower().event(2)
    follower().event(3)
    await sent()
    expect(client.texts).toEqual(['1', '2', '3'])
    handle.leave()
  })

  it('is refused at once if the past refuses its position, and leaves nothing', async () => {
    const expired = new ListenqlError('CURSOR_EXPIRED', 'it is gone')
    const { group, stopped } = createTested(past(() => Promise.reject(expired)))
    await expect(group.join({ ...createClient(), after: at(0) })).rejects.toBe(expired)
    await sent()
    expect([group.size, stopped]).toEqual([0, [1]])
  })

  it('is refused if the source keeps no history', async () => {
    const { group } = createTested({ replay: () => undefined })
    await expect(group.join({ ...createClient(), after: at(0) })).rejects.toMatchObject({
      code: 'CURSOR_INVALID',
    })
  })

  it('ends with an error if the past can no longer be read, and other subscribers continue', async () => {
    let pages = 0
    const { group, follower } = createTested({
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
    await group.join(other)
    await group.join({ ...late, after: at(0) })
    await expect.poll(() => late.texts).toEqual(['1', 'last: CURSOR_EXPIRED'])
    follower().event(10)
    await sent()
    expect(other.texts).toEqual(['10'])
  })
})

describe('shared work', () => {
  it('is paid by the first subscriber and, after that one has left, by the next', async () => {
    const { group, follower } = createTested()
    const [first, second] = [createAccount(), createAccount()]
    const { leave } = await group.join({ ...createClient(), account: first.account })
    await group.join({ ...createClient(), account: second.account })
    follower().account?.pay(5)
    leave()
    follower().account?.pay(7)
    expect([first.paid(), second.paid()]).toEqual([5, 7])
  })

  it('ends the subscriptions that cannot pay, and no other', async () => {
    const { group, follower } = createTested()
    const [first, second] = [createClient(), createClient()]
    const [poor, rich] = [createAccount(), createAccount()]
    await group.join({ ...first, account: poor.account })
    await group.join({ ...second, account: rich.account })
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
