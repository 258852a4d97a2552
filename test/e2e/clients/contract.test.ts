import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createServer, type ListenqlServer } from '../../../src/index.js'
import { createObserved } from '../../support/observed.js'
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js'
import type { RealClient } from '../../support/real-clients/client.js'
import { REAL_CLIENTS } from '../../support/real-clients/index.js'

const { observe, until, all } = createObserved()
let database: TestDatabase
let server: ListenqlServer

beforeAll(async () => {
  database = await createTestDatabase()
  server = await createServer({
    databaseUrl: database.url,
    port: 0,
    logLevel: 'silent',
    channels: ['open *'],
    publish: ['*'],
    reconnectMax: 200,
    observe,
  })
})
afterAll(async () => {
  await server?.close()
  await database?.close()
})

const sql = (channel: string, payload: string) =>
  database.query('select pg_notify($1, $2)', [channel, payload])
const terminateListener = () =>
  database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'listenql listen'`,
  )

let channels = 0
/** A channel without other subscribers, so that what is observed about it belongs to the test. */
const newChannel = () => `open ${++channels}`

describe.each(Object.entries(REAL_CLIENTS))('%s', (_name, connect) => {
  let client: RealClient
  beforeEach(() => {
    client = connect(server.url)
  })
  afterEach(() => client.close())

  async function listen(channel = newChannel()) {
    const subscription = client.subscribe(channel)
    await until('subscriber.joined', { topic: channel })
    return { ...subscription, channel }
  }

  it('receives events, and unsubscribes on the server', async () => {
    const { channel, events, unsubscribe } = await listen()
    const payloads = ['{"name": "Zoë 🐘", "tags": [1, null]}', 'no json\nbut two lines: \u2028 世界', '']
    for (const payload of payloads) await sql(channel, payload)
    const received = await events.take(3)
    expect(received).toMatchObject(
      payloads.map(payload => ({ channel, payload, gap: false, cursor: null, at: expect.any(String) })),
    )
    expect(received.map(event => event.json)).toEqual([{ name: 'Zoë 🐘', tags: [1, null] }, null, null])

    unsubscribe()
    await until('subscriber.left', { topic: channel })
    await until('channel.released', { channel })
    expect(all('subscriber.joined', { topic: channel })).toHaveLength(1)
  })

  it('receives each of many events once and in order', async () => {
    const { channel, events, unsubscribe } = await listen()
    await database.query(`select pg_notify($1, g::text) from generate_series(1, 2000) g`, [channel])
    const received = await events.take(2000)
    expect(received.map(event => event.payload)).toEqual(Array.from({ length: 2000 }, (_, i) => `${i + 1}`))
    unsubscribe()
  })

  it('receives a gap after the LISTEN connection was lost, and continues', async () => {
    const { channel, events, errors, unsubscribe } = await listen()
    await sql(channel, 'before')
    expect(await events.next()).toMatchObject({ gap: false, payload: 'before' })
    await terminateListener()
    expect(await events.next('the gap')).toMatchObject({ channel, gap: true, payload: null, json: null })
    await sql(channel, 'after')
    expect(await events.next('the event after the gap')).toMatchObject({ gap: false, payload: 'after' })
    expect(errors.drain()).toEqual([])
    unsubscribe()
    await until('channel.released', { channel })
  })

  it('receives the error code of a refused channel, and stays usable', async () => {
    const tooLong = client.subscribe(`open ${'ü'.repeat(30)}`)
    expect(await tooLong.errors.next()).toEqual({
      code: 'CHANNEL_NAME_INVALID',
      message: expect.stringContaining('63 bytes'),
    })
    await tooLong.ended
    const secret = client.subscribe('secret')
    expect(await secret.errors.next()).toEqual({
      code: 'CHANNEL_NOT_ALLOWED',
      message: expect.stringContaining("'secret' is not allowed"),
    })
    await secret.ended
    expect(secret.events.drain()).toEqual([])

    const { channel, events, unsubscribe } = await listen()
    await sql(channel, 'fine')
    expect(await events.next()).toMatchObject({ payload: 'fine' })
    unsubscribe()
  })

  it('queries and mutates over the same link', async () => {
    const { channel, events, unsubscribe } = await listen()
    expect(await client.channels()).toEqual(['open *'])
    expect(await client.notify(channel, 'sent by a mutation 🐘')).toBe(true)
    expect(await events.next()).toMatchObject({ payload: 'sent by a mutation 🐘' })
    unsubscribe()
  })

  it('holds several subscriptions, each with its own events', async () => {
    const one = await listen()
    const two = await listen()
    await sql(two.channel, 'for two')
    await sql(one.channel, 'for one')
    expect(await one.events.next()).toMatchObject({ channel: one.channel, payload: 'for one' })
    expect(await two.events.next()).toMatchObject({ channel: two.channel, payload: 'for two' })
    one.unsubscribe()
    await until('channel.released', { channel: one.channel })
    await sql(two.channel, 'still here')
    expect(await two.events.next()).toMatchObject({ payload: 'still here' })
    expect(all('subscriber.left', { topic: two.channel })).toEqual([])
    two.unsubscribe()
    await until('channel.released', { channel: two.channel })
  })
})
