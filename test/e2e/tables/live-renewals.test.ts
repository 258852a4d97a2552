import { afterAll, beforeAll, expect, it } from 'vitest'
import { createLive, type Live } from '../../support/live.js'
import { createLog, type TestLog } from '../../support/log.js'
import { waitUntil } from '../../support/wait.js'

let log: TestLog
let live: Live

beforeAll(async () => {
  log = await createLog()
  await log.query('create table orders (id int primary key); insert into orders values (1)')
  await log.watch('orders')
  live = await createLive(log)
  await live.ready('{ orders { cursor } }')
})
afterAll(async () => {
  await live?.close()
  await log.close()
})

it('a live query whose first result is being read while the schema changes delivers a result', async () => {
  const blocker = await log.connect()
  await blocker.query('begin; lock table orders in access exclusive mode')
  const subscribed = live.subscribe('subscription { orders { rows { id } } }')
  await waitUntil(async () => {
    const [found] = await log.query(
      `select from pg_locks where relation = 'orders'::regclass and not granted`,
    )
    return found
  }, 'the query to wait for the lock')
  await log.query('create table customers (id int primary key)')
  await log.watch('customers')
  await live.ready('{ customers { cursor } }')
  await blocker.query('commit')
  const stream = await subscribed
  expect(await stream.results.next('a result')).toMatchObject({ data: { orders: { rows: [{ id: 1 }] } } })
  await stream.close()
})
