import { createSourceEventStream, type ExecutionResult, parse, print, subscribe } from 'graphql'
import { afterEach, expect, it } from 'vitest'
import type { SchemaContext } from '../../schema/context.js'
import { buildSchema } from '../../schema/index.js'
import { createChannelRules } from '../../src/auth/channel-rules.js'
import { ANONYMOUS } from '../../src/auth/viewer.js'
import { createServer } from '../../src/index.js'
import { connectionOptions } from '../../src/postgres/conninfo.js'
import { Listener } from '../../src/postgres/listener.js'
import { createPool } from '../../src/postgres/pool.js'
import { createChannels } from '../../src/sources/channels/channels.js'
import { overSse } from '../support/clients.js'
import { channelEvents } from '../support/documents.js'
import { createObserved } from '../support/observed.js'
import { createTestDatabase } from '../support/postgres.js'

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

const schema = buildSchema()
type Results = AsyncGenerator<ExecutionResult, void, void>

/** Everything that the schema needs, built from the layers below our own transports. */
async function createContext() {
  const database = await createTestDatabase()
  cleanUps.push(() => database.close())
  const config = connectionOptions(database.url)
  const observed = createObserved()
  const pool = createPool(config, 10_000)
  const listener = new Listener({
    config,
    lend: pool.lend,
    heartbeat: 10_000,
    connectTimeout: 10_000,
    reconnectMax: 100,
    observe: observed.observe,
  })
  const channels = createChannels({ listener })
  cleanUps.push(
    () => listener.close(),
    () => pool.close(),
  )
  const contextValue: SchemaContext = {
    viewer: ANONYMOUS,
    rules: createChannelRules(['*'], []),
    channelSource: channels.source,
    tableChanges: () => expect.unreachable(),
    read: () => expect.unreachable(),
    live: () => expect.unreachable(),
    notify: pool.notify,
  }
  return { database, listener, contextValue, notify: pool.notify, ...observed }
}

async function listen(contextValue: SchemaContext, name: string, document = channelEvents): Promise<Results> {
  const results = await subscribe({ schema, document, contextValue, variableValues: { name } })
  if (!(Symbol.asyncIterator in results)) throw new Error(`refused: ${JSON.stringify(results)}`)
  return results
}

it('subscribe() of graphql-js resolves once LISTEN has returned, and delivers everything committed after that', async () => {
  const { listener, contextValue, notify, all } = await createContext()
  const pending = listen(contextValue, 'pending') // the connection has not even been opened
  let resolved = false
  const marked = pending.then(results => {
    resolved = true
    // Checked in the same tick.
    expect(all('channel.listening', { channel: 'pending' })).toHaveLength(1)
    return results
  })
  await notify('pending', 'too early')
  expect(resolved).toBe(false)
  listener.start()
  const results = await marked
  await notify('pending', '{"in": "time"}')
  expect(await results.next()).toEqual({
    done: false,
    value: {
      data: {
        channel: {
          channel: 'pending',
          payload: '{"in": "time"}',
          json: { in: 'time' },
          cursor: null,
          gap: false,
          at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        },
      },
    },
  })
  await results.return()

  for (let i = 0; i < 20; i++) {
    const channel = `at once ${i}`
    const each = await listen(contextValue, channel)
    await notify(channel, `event ${i}`) // before the first next()
    expect(await each.next()).toMatchObject({ value: { data: { channel: { payload: `event ${i}` } } } })
    await each.return()
  }
})

it('return() ends the subscription and UNLISTENs, even while a next() is pending', async () => {
  const { database, listener, contextValue, notify, until } = await createContext()
  listener.start()
  const results = await listen(contextValue, 'waited for')
  const waiting = results.next()
  const second = results.next()
  expect(await results.return()).toEqual({ done: true, value: undefined })
  expect(await waiting).toEqual({ done: true, value: undefined })
  expect(await second).toEqual({ done: true, value: undefined })
  await until('channel.released', { channel: 'waited for' })
  const [backend] = await database.query(
    `select query from pg_stat_activity where datname = current_database() and application_name = 'listenql listen'`,
  )
  expect(backend?.query).toBe('unlisten "waited for"')
  expect(await results.next()).toEqual({ done: true, value: undefined })

  // Another iterator of the same channel is not affected.
  const one = await listen(contextValue, 'shared')
  const two = await listen(contextValue, 'shared')
  await one.return()
  await notify('shared', 'for two')
  expect(await two.next()).toMatchObject({ value: { data: { channel: { payload: 'for two' } } } })
  await two.return()
  await until('channel.released', { channel: 'shared' })
})

it('a refused channel is a result with errors, as from any schema', async () => {
  const { listener, contextValue, all } = await createContext()
  listener.start()
  for (const [name, code] of [
    ['', 'CHANNEL_NAME_INVALID'],
    ['listenql', 'CHANNEL_NOT_ALLOWED'],
  ]) {
    const result = await createSourceEventStream({
      schema,
      document: channelEvents,
      contextValue,
      variableValues: { name },
    })
    expect(result).toMatchObject({ errors: [{ path: ['channel'], originalError: { code } }] })
  }
  expect(all('channel.listening')).toEqual([])
})

it('subscribe() of graphql-js yields what the server sends for the same events', async () => {
  const { database, listener, contextValue, notify } = await createContext()
  listener.start()
  const observed = createObserved()
  const server = await createServer({
    databaseUrl: database.url,
    port: 0,
    logLevel: 'silent',
    reconnectMax: 100,
    observe: observed.observe,
  })
  cleanUps.push(() => server.close())
  // `at` is when each of the two received the event.
  const document = parse(
    'subscription ($name: String!) { event: channel(name: $name) { __typename channel payload json cursor gap } }',
  )
  const results = await listen(contextValue, 'same', document)
  const stream = await overSse('POST')(server.url, print(document), { name: 'same' })
  const compare = async () => {
    const { value } = await results.next()
    const sent = await stream.results.next()
    expect(JSON.stringify(sent)).toBe(JSON.stringify(value)) // including the order of the fields
    return sent
  }
  for (const payload of ['{"b": [1, null, {"ü": "🐘"}], "a": 1.50}', 'null', '', 'no json \u2028\n', '"']) {
    await notify('same', payload)
    expect(await compare()).toMatchObject({ data: { event: { payload, gap: false } } })
  }
  await database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'listenql listen'`,
  )
  expect(await compare()).toMatchObject({ data: { event: { payload: null, gap: true } } })
  await notify('same', 'after')
  expect(await compare()).toMatchObject({ data: { event: { payload: 'after' } } })
  await results.return()
  stream.close()
  expect(observed.all('fault')).toEqual([])
})
