import { afterEach, expect, it } from 'vitest'
import { connectionOptions } from '../../src/postgres/conninfo.js'
import { Listener } from '../../src/postgres/listener.js'
import { createPool } from '../../src/postgres/pool.js'
import { Inbox } from '../support/inbox.js'
import { createTestDatabase } from '../support/postgres.js'

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

it('a channel of the server itself stays, whatever clients that listen to it do', async () => {
  const database = await createTestDatabase()
  const config = connectionOptions(database.url)
  const pool = createPool(config, 10_000)
  const listener = new Listener({
    config,
    lend: pool.lend,
    heartbeat: 10_000,
    connectTimeout: 10_000,
    reconnectMax: 100,
    observe: () => undefined,
  })
  cleanUps.push(
    () => database.close(),
    () => pool.close(),
    () => listener.close(),
  )
  const own = new Inbox<string>()
  const all = new Inbox<string>()
  listener.keep('own', {
    notify: payload => own.push(payload),
    onListening: isListening => isListening && own.push('listening'),
  })
  listener.attach({
    onNotification: (channel, payload) => all.push(`${channel} ${payload}`),
    onListening: () => undefined,
    onLost: () => undefined,
  })
  listener.start()
  expect(await own.next()).toBe('listening')
  await listener.listen('own')
  listener.unlisten('own')
  await listener.listen('other') // An UNLISTEN would have been sent with it.
  await database.query(`select pg_notify('own', '1'), pg_notify('other', '2')`)
  expect([await all.next(), await all.next()]).toEqual(['own 1', 'other 2'])
  const heard: string[] = []
  while (heard.at(-1) !== '1') heard.push(await own.next())
  expect(new Set(heard.slice(0, -1))).toEqual(heard.length > 1 ? new Set(['listening']) : new Set())
})
