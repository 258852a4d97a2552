import { spawn } from 'node:child_process'
import { createPubSub } from '@graphql-yoga/subscription'
import { afterAll, afterEach, beforeAll, describe, expect, expectTypeOf, it } from 'vitest'
import {
  createBoundedPubSub,
  createPostgresEventTarget,
  ListenqlError,
  type PostgresEventTarget,
  type PostgresEventTargetOptions,
} from '../../src/index.js'
import { Inbox } from '../support/inbox.js'
import { createObserved } from '../support/observed.js'
import { createTestDatabase, type TestDatabase } from '../support/postgres.js'
import { waitUntil } from '../support/wait.js'

interface User {
  readonly id: string
  readonly name: string
}

type Topics = {
  people: [payload: number]
  others: [payload: number]
  user: [id: string, payload: User]
  ping: []
}

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.close())

const targets: { close(): Promise<void> }[] = []
afterEach(async () => {
  await Promise.all(targets.splice(0).map(target => target.close()))
})

function open(options: PostgresEventTargetOptions = {}) {
  const errors = new Inbox<Error>()
  const eventTarget: PostgresEventTarget = createPostgresEventTarget({
    connectionString: database.url,
    onError: errors.push,
    ...options,
  })
  targets.push(eventTarget)
  return { eventTarget, errors, pubSub: createPubSub<Topics>({ eventTarget }) }
}

/** Starts an iterator of createPubSub, which registers at its first next(), and waits for LISTEN. */
async function start<T>(eventTarget: PostgresEventTarget, iterator: AsyncIterator<T>) {
  const first = iterator.next()
  await eventTarget.ready()
  return {
    first,
    async take(count: number): Promise<T[]> {
      const values: T[] = []
      if (count > 0) values.push((await first).value)
      while (values.length < count) values.push((await iterator.next()).value)
      return values
    },
  }
}

const burst = (channel: string, count: number, from = 0) =>
  database.query(`select pg_notify($1, (g + $2::int)::text) from generate_series(1, $3::int) g`, [
    channel,
    from,
    count,
  ])

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i + 1)

const listeners = () =>
  database.query(
    `select pid, query from pg_stat_activity where datname = current_database() and application_name = 'listenql listen'`,
  )

async function codeOf(errors: Inbox<Error>): Promise<string> {
  const error = await errors.next('an error')
  expect(error).toBeInstanceOf(ListenqlError)
  return (error as ListenqlError).code
}

describe('a burst of 20,000 events, ten times', () => {
  it('reaches a reader whole and in order, also a reader that awaits its own work', async () => {
    const { eventTarget, pubSub, errors } = open()
    const quick = await start(eventTarget, pubSub.subscribe('people'))
    const busy = pubSub.subscribe('people')
    const busyFirst = busy.next()
    await eventTarget.ready()
    const busyReads = (async () => {
      const values = [(await busyFirst).value]
      while (values.length < 200_000) {
        if (values.length % 500 === 0) await new Promise(resolve => setImmediate(resolve))
        values.push((await busy.next()).value)
      }
      return values
    })()
    const reads = quick.take(200_000)
    for (let round = 0; round < 10; round++) await burst('people', 20_000, round * 20_000)
    expect(await reads).toEqual(numbers(200_000))
    expect(await busyReads).toEqual(numbers(200_000))
    expect(errors.drain()).toEqual([])
  }, 60_000)

  it('removes a reader that never reads, at maxWaiting, while another reader gets all events', async () => {
    const { eventTarget, pubSub, errors } = open()
    const idle = pubSub.subscribe('people')
    const idleFirst = idle.next()
    const reader = await start(eventTarget, pubSub.subscribe('people'))
    const reads = reader.take(60_000)
    for (let round = 0; round < 3; round++) await burst('people', 20_000, round * 20_000)
    expect(await codeOf(errors)).toBe('SUBSCRIBER_TOO_SLOW')
    expect(await reads).toEqual(numbers(60_000))

    // The removed reader reads after all: the events that its iterator held, in order, then the error, then the end.
    const held = [(await idleFirst).value]
    const late = (async () => {
      for await (const value of idle) held.push(value)
    })()
    await expect(late).rejects.toMatchObject({ code: 'SUBSCRIBER_TOO_SLOW' })
    expect(held.length).toBeGreaterThanOrEqual(1024)
    expect(held).toEqual(numbers(held.length))
    expect(await idle.next()).toEqual({ done: true, value: undefined })
    expect(errors.drain()).toEqual([])
  }, 60_000)

  it('ends LISTEN if the removed reader was the last', async () => {
    const { eventTarget, pubSub, errors } = open({ maxWaiting: 2000 })
    const idle = pubSub.subscribe('others')
    void idle.next()
    await eventTarget.ready()
    await burst('others', 20_000)
    expect(await codeOf(errors)).toBe('SUBSCRIBER_TOO_SLOW')
    await waitUntil(async () => (await listeners())[0]?.query === 'unlisten "others"', 'UNLISTEN')
    // A new subscription starts from zero.
    const details = new Inbox<unknown>()
    eventTarget.addEventListener('others', event => details.push(event.detail))
    await eventTarget.ready()
    await burst('others', 3, 50_000)
    for (let skipped = 0; (await details.next()) !== 50_001; skipped++) {
      expect(skipped).toBeLessThan(20_000) // Events that were still in transit when it joined.
    }
    expect(await details.take(2)).toEqual([50_002, 50_003])
    await idle.return()
  })
})

describe('createPubSub without the event target', () => {
  it('throws at the publisher once 1,024 events wait; with a target in memory, that ends the process', async () => {
    const script = `
      import { createPubSub } from '@graphql-yoga/subscription'
      const pubSub = createPubSub()
      void pubSub.subscribe('x').next()
      for (let i = 0; i < 1025; i++) pubSub.publish('x', i)
      setImmediate(() => {
        console.log('alive with 1,024 waiting')
        pubSub.publish('x', 1025)
        setImmediate(() => console.log('alive with more'))
      })`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', chunk => (stdout += chunk))
    child.stderr.on('data', chunk => (stderr += chunk))
    const code = await new Promise(resolve => child.once('close', resolve))
    expect(stdout).toBe('alive with 1,024 waiting\n')
    expect(stderr).toContain('RepeaterOverflowError')
    expect(code).toBe(1)
  })
})

describe('dispatchEvent', () => {
  it('notifies in the order of the calls, with the detail as JSON', async () => {
    const { eventTarget, pubSub } = open()
    const payloads = new Inbox<unknown>()
    eventTarget.addEventListener('people', event => payloads.push(event.detail))
    eventTarget.addEventListener('user:42', event => payloads.push(event.detail))
    eventTarget.addEventListener('ping', event => payloads.push(event.detail))
    await eventTarget.ready()
    for (let i = 1; i <= 500; i++) pubSub.publish('people', i)
    pubSub.publish('user', '42', { id: '42', name: 'Zoë \u{1f418} \0 "quoted"' })
    pubSub.publish('ping')
    expect(await payloads.take(500)).toEqual(numbers(500))
    expect(await payloads.next()).toEqual({ id: '42', name: 'Zoë \u{1f418} \0 "quoted"' })
    expect(await payloads.next()).toBe(null)
  })

  it('uses a custom serializer in both directions', async () => {
    const { eventTarget } = open({
      serializer: {
        stringify: detail => `<${String(detail)}>`,
        parse: payload => payload.slice(1, -1),
      },
    })
    const details = new Inbox<unknown>()
    eventTarget.addEventListener('text', event => details.push(event.detail))
    await eventTarget.ready()
    eventTarget.dispatchEvent(new CustomEvent('text', { detail: 'hello' }))
    await database.query(`select pg_notify('text', '[from SQL]')`)
    expect((await details.take(2)).sort()).toEqual(['from SQL', 'hello'])
  })

  it('never throws: an event that cannot be sent goes to onError, and the next event is sent', async () => {
    const { eventTarget, errors } = open()
    const details = new Inbox<unknown>()
    eventTarget.addEventListener('people', event => details.push(event.detail))
    await eventTarget.ready()
    const dispatch = (type: string, detail: unknown) =>
      eventTarget.dispatchEvent(new CustomEvent(type, { detail }))
    const circular: { self?: unknown } = {}
    circular.self = circular
    dispatch('people', 'x'.repeat(7997)) // 7,999 bytes with its quotes
    dispatch('people', 'x'.repeat(7998))
    dispatch('people', 'ü'.repeat(4000))
    dispatch('people', circular)
    dispatch('people', 1n)
    dispatch('people', () => 1)
    dispatch('x'.repeat(64), 1)
    dispatch('', 1)
    dispatch('people', 'after')
    expect(await details.next()).toBe('x'.repeat(7997))
    expect(await details.next()).toBe('after')
    const codes = (errors.drain() as ListenqlError[]).map(error => error.code).sort()
    expect(codes).toEqual([
      'CHANNEL_NAME_INVALID',
      'CHANNEL_NAME_INVALID',
      'PAYLOAD_INVALID',
      'PAYLOAD_INVALID',
      'PAYLOAD_INVALID',
      'PAYLOAD_TOO_LARGE',
      'PAYLOAD_TOO_LARGE',
    ])
    expect(details.drain()).toEqual([])
  })
})

describe('a payload that does not parse', () => {
  it('goes to onError, and the listeners get the other events', async () => {
    const { eventTarget, errors } = open()
    const details = new Inbox<unknown>()
    eventTarget.addEventListener('people', event => details.push(event.detail))
    await eventTarget.ready()
    await database.query(`select pg_notify('people', p) from unnest(array['1', 'not JSON', '2', '']) p`)
    await database.query(`select pg_notify('people', '3')`)
    expect(await details.take(3)).toEqual([1, 2, 3])
    expect(await codeOf(errors)).toBe('PAYLOAD_INVALID')
    expect((await errors.next()).message).toContain(`channel 'people'`)
  })
})

describe('listeners', () => {
  it('share one LISTEN connection, which listens to a topic from its first listener to its last', async () => {
    const { eventTarget } = open()
    const inboxes = Array.from({ length: 200 }, () => new Inbox<unknown>())
    const callbacks = inboxes.map(inbox => (event: CustomEvent) => inbox.push(event.detail))
    for (const [i, callback] of callbacks.entries()) eventTarget.addEventListener(`topic:${i >> 1}`, callback)
    await eventTarget.ready()
    expect(await listeners()).toHaveLength(1)
    await database.query(`select pg_notify('topic:' || g, g::text) from generate_series(0, 99) g`)
    for (const [i, inbox] of inboxes.entries()) expect(await inbox.next()).toBe(i >> 1)

    const [first, second] = callbacks as [(event: CustomEvent) => void, (event: CustomEvent) => void]
    eventTarget.removeEventListener('topic:0', first)
    await database.query(`select pg_notify('topic:0', '1')`)
    expect(await inboxes[1]?.next()).toBe(1)
    eventTarget.removeEventListener('topic:0', second)
    await waitUntil(async () => (await listeners())[0]?.query === 'unlisten "topic:0"', 'UNLISTEN')
    // Also when the listener returns.
    eventTarget.addEventListener('topic:0', first)
    await eventTarget.ready()
    await database.query(`select pg_notify('topic:0', '2')`)
    expect(await inboxes[0]?.next()).toBe(2)
    expect(inboxes.flatMap(inbox => inbox.drain())).toEqual([])
  })

  it('are registered once per callback, may be objects, and support once and signal', async () => {
    const { eventTarget } = open()
    const details = new Inbox<string>()
    const twice = (event: CustomEvent) => details.push(`twice ${event.detail}`)
    const stop = new AbortController()
    eventTarget.addEventListener('people', twice)
    eventTarget.addEventListener('people', twice)
    eventTarget.addEventListener('people', { handleEvent: event => details.push(`object ${event.detail}`) })
    eventTarget.addEventListener('people', event => details.push(`once ${event.detail}`), { once: true })
    eventTarget.addEventListener('people', event => details.push(`until ${event.detail}`), {
      signal: stop.signal,
    })
    await eventTarget.ready()
    await burst('people', 1)
    expect(await details.take(4)).toEqual(['twice 1', 'object 1', 'once 1', 'until 1'])
    stop.abort()
    await burst('people', 1, 1)
    expect(await details.take(2)).toEqual(['twice 2', 'object 2'])
    eventTarget.removeEventListener('people', twice)
    await burst('people', 1, 2)
    expect(await details.take(1)).toEqual(['object 3'])
    expect(details.drain()).toEqual([])
  })

  it('that throw affect no other listener', async () => {
    const { eventTarget, errors } = open()
    const details = new Inbox<unknown>()
    eventTarget.addEventListener('people', () => {
      throw new Error('mine')
    })
    eventTarget.addEventListener('people', event => details.push(event.detail))
    await eventTarget.ready()
    await burst('people', 2)
    expect(await details.take(2)).toEqual([1, 2])
    expect((await errors.take(2)).map(error => error.message)).toEqual(['mine', 'mine'])
  })

  it('accept any name that Postgres accepts; other names fail at the subscriber', async () => {
    const { eventTarget, pubSub } = open()
    const names = ['user:42', 'Mixed.Case "quoted" name', 'ü'.repeat(31)]
    const details = new Inbox<unknown>()
    for (const name of names) eventTarget.addEventListener(name, event => details.push([name, event.detail]))
    await eventTarget.ready()
    for (const [i, name] of names.entries()) {
      eventTarget.dispatchEvent(new CustomEvent(name, { detail: i }))
      expect(await details.next()).toEqual([name, i])
    }
    const refused = pubSub.subscribe('user', 'x'.repeat(59))
    await expect(refused.next()).rejects.toMatchObject({
      code: 'CHANNEL_NAME_INVALID',
      message: "a channel name may have 63 bytes at most, 'user:xxxxxxxxxxxxxxx…' has 64",
    })
    expect(() => eventTarget.addEventListener('', () => undefined)).toThrow('may not be empty')
  })
})

describe('an outage', () => {
  it('is reported once to onGap, with the topics that it concerns, and then events arrive again', async () => {
    const gaps = new Inbox<readonly string[]>()
    const { eventTarget, pubSub } = open({ onGap: gaps.push })
    const details = new Inbox<unknown>()
    const left = () => undefined
    eventTarget.addEventListener('people', event => details.push(event.detail))
    const again = (event: CustomEvent) => details.push(event.detail)
    eventTarget.addEventListener('others', again)
    eventTarget.addEventListener('left', left)
    await eventTarget.ready()
    eventTarget.removeEventListener('left', left)
    eventTarget.removeEventListener('others', again)
    eventTarget.addEventListener('others', again) // Before UNLISTEN is sent.
    for (let round = 1; round <= 2; round++) {
      await database.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'listenql listen'`,
      )
      expect([...(await gaps.next('a gap'))].sort()).toEqual(['others', 'people'])
      await eventTarget.ready()
      pubSub.publish('people', round)
      expect(await details.next()).toBe(round)
    }
    expect(gaps.drain()).toEqual([])
    expect(details.drain()).toEqual([])
  })

  it('of the database reports failed events to onError until publishing works again', async () => {
    const observed = createObserved()
    const { eventTarget, pubSub, errors } = open({ observe: observed.observe })
    const details = new Inbox<unknown>()
    eventTarget.addEventListener('people', event => details.push(event.detail))
    await eventTarget.ready()
    await database.query(`alter role ${database.name} nologin`)
    await database.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and usename = '${database.name}'`,
    )
    pubSub.publish('people', 1)
    expect(await codeOf(errors)).toBe('DATABASE_FAILED')
    await observed.until('database.lost') // The connections of the sender and of LISTEN end one after the other.
    let isReady = false
    const ready = eventTarget.ready().then(() => {
      isReady = true
    })
    await database.query(`alter role ${database.name} login`)
    await ready
    expect(isReady).toBe(true)
    pubSub.publish('people', 2)
    expect(await details.next()).toBe(2)
  })
})

describe('ready()', () => {
  it('does not wait for a topic that has no listener any more', async () => {
    const { eventTarget } = open({ connection: { port: 1 } }) // Nothing answers there.
    const callback = () => undefined
    eventTarget.addEventListener('people', callback)
    const ready = eventTarget.ready()
    eventTarget.removeEventListener('people', callback)
    await ready
  })

  it('rejects when the target is closed', async () => {
    const { eventTarget } = open({ connection: { port: 1 } })
    eventTarget.addEventListener('people', () => undefined)
    const ready = eventTarget.ready()
    const refusal = expect(ready).rejects.toMatchObject({ code: 'EVENT_TARGET_CLOSED' })
    await eventTarget.close()
    await refusal
  })
})

describe('close()', () => {
  it('sends the dispatched events, and may be called twice', async () => {
    const { eventTarget: other } = open()
    const details = new Inbox<unknown>()
    other.addEventListener('people', event => details.push(event.detail))
    await other.ready()
    const { eventTarget, pubSub, errors } = open()
    for (let i = 1; i <= 100; i++) pubSub.publish('people', i)
    await Promise.all([eventTarget.close(), eventTarget.close()])
    expect(await details.take(100)).toEqual(numbers(100))
    pubSub.publish('people', 101)
    expect(await codeOf(errors)).toBe('EVENT_TARGET_CLOSED')
    expect(() => eventTarget.addEventListener('people', () => undefined)).toThrow('closed')
    await eventTarget.close()
  })

  it('gives up the waiting events, without a time-out for each, when the database is gone', async () => {
    const { eventTarget, pubSub, errors } = open({ connection: { port: 1 } })
    for (let i = 1; i <= 3; i++) pubSub.publish('people', i)
    await eventTarget.close()
    const failures = await errors.take(3)
    expect(failures.map(error => (error as ListenqlError).code)).toEqual(Array(3).fill('DATABASE_FAILED'))
  })
})

describe('createBoundedPubSub', () => {
  it('registers at once, and ends a subscription that is not read with its own error', async () => {
    const pubSub = createBoundedPubSub<Topics>({ limit: 2000 })
    const idle = pubSub.subscribe('people')
    const reader = pubSub.subscribe('people')
    const elsewhere = pubSub.subscribe('user', '42')
    const reads: number[] = []
    for (let i = 1; i <= 5000; i++) {
      pubSub.publish('people', i)
      reads.push((await reader.next()).value)
    }
    expect(reads).toEqual(numbers(5000))
    const held: number[] = []
    const late = (async () => {
      for await (const value of idle) held.push(value)
    })()
    await expect(late).rejects.toMatchObject({ code: 'SUBSCRIBER_TOO_SLOW' })
    expect(held).toEqual(numbers(2000))
    pubSub.publish('user', '41', { id: '41', name: 'Not me' })
    pubSub.publish('user', '42', { id: '42', name: 'Ada' })
    expect(await elsewhere.next()).toEqual({ done: false, value: { id: '42', name: 'Ada' } })
  })

  it('ends a waiting next() when the subscription is returned, and accepts nothing afterwards', async () => {
    const pubSub = createBoundedPubSub<Topics>()
    const subscription = pubSub.subscribe('people')
    const next = subscription.next()
    await subscription.return?.()
    expect(await next).toEqual({ done: true, value: undefined })
    pubSub.publish('people', 1)
    expect(await subscription.next()).toEqual({ done: true, value: undefined })
  })

  it('accepts the burst from Postgres, whole and in order', async () => {
    const { eventTarget, errors } = open()
    const pubSub = createBoundedPubSub<Topics>({ eventTarget })
    const reader = await start(eventTarget, pubSub.subscribe('people'))
    const reads = reader.take(200_000)
    for (let round = 0; round < 10; round++) await burst('people', 20_000, round * 20_000)
    expect(await reads).toEqual(numbers(200_000))
    expect(errors.drain()).toEqual([])
  }, 60_000)
})

describe('the types', () => {
  it('are those of createPubSub, without a cast', () => {
    const options = { connectionString: database.url, connection: { port: 1 } }
    const inline = () => createPubSub<Topics>({ eventTarget: createPostgresEventTarget(options) })
    const typed = () =>
      createPubSub<{ userChanged: [id: string, payload: User] }>({ eventTarget: createPostgresEventTarget() })
    const bounded = () => createBoundedPubSub<Topics>({ eventTarget: createPostgresEventTarget(options) })
    const plain = () => createBoundedPubSub<Topics>()
    type PubSub = ReturnType<typeof inline>
    expectTypeOf<ReturnType<typeof typed>['publish']>().toBeCallableWith('userChanged', '1', {
      id: '1',
      name: 'Ada',
    })
    expectTypeOf<PubSub['publish']>().toBeCallableWith('ping')
    // @ts-expect-error: the id is missing
    expectTypeOf<PubSub['subscribe']>().toBeCallableWith('user')
    expectTypeOf(bounded).returns.toEqualTypeOf<ReturnType<typeof plain>>()

    const check = (pubSub: ReturnType<typeof bounded>) => {
      expectTypeOf(pubSub.subscribe('user', '42')).toEqualTypeOf<AsyncIterableIterator<User>>()
      expectTypeOf(pubSub.subscribe('people')).toEqualTypeOf<AsyncIterableIterator<number>>()
      expectTypeOf(pubSub.subscribe('ping')).toEqualTypeOf<AsyncIterableIterator<null>>()
      // @ts-expect-error: a topic that is not declared
      pubSub.subscribe('nothing')
      // @ts-expect-error: the id is missing
      pubSub.subscribe('user')
      // @ts-expect-error: not a user
      pubSub.publish('user', '42', 1)
    }
    expect(check).toBeTypeOf('function')
  })
})
