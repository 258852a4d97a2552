import { afterAll, beforeAll, expect, it } from 'vitest'
import { createLog, refusal, type TestLog } from '../support/log.js'

let log: TestLog
beforeAll(async () => {
  log = await createLog()
})
afterAll(() => log.close())

it('publish takes text, json and jsonb of any size and keeps the order of the calls', async () => {
  await log.query(`select listenql.publish('news', 'plain'); select listenql.publish('news', '{"a" : 1.50}'::json);
    select listenql.publish('news', jsonb_build_object('a', 1)); select listenql.publish('news', null::text);
    select listenql.publish('news', repeat('x', 5000000))`)
  const events = await log.fresh()
  expect(events.map(event => [event.kind, event.topic, event.operation, event.old])).toEqual(
    events.map(() => ['c', 'news', 'N', null]),
  )
  expect(events.slice(0, 4).map(event => event.new)).toEqual(['plain', '{"a" : 1.50}', '{"a": 1}', ''])
  expect(events[4]?.new?.length).toBe(5_000_000)
  expect(events.map(event => event.statement)).toEqual([4, 8, 12, 16, 20])
})

it('publish logs nothing in a transaction that rolls back, and keeps the order with row events in one that commits', async () => {
  await log.query('create table t (id int primary key)')
  await log.watch('t')
  await log.fresh()
  await log.query(`begin; select listenql.publish('c', 'gone'); rollback`)
  await log.query(
    `begin; select listenql.publish('c', '1'); insert into t values (2); select listenql.publish('c', '3'); commit`,
  )
  expect((await log.fresh()).map(event => event.new)).toEqual(['1', '{"id":2}', '3'])
})

it('channel names have 1 to 63 bytes, and the name of the doorbell is refused', async () => {
  for (const name of ['', 'x'.repeat(64), 'ä'.repeat(32), 'listenql', null]) {
    expect(await refusal(log.query('select listenql.publish($1, $2::text)', [name, 'x']))).toBe('22023')
  }
  for (const name of ['x', 'x'.repeat(63), 'ä'.repeat(31), 'Listenql', 'with "quotes" and \'these\' %s'])
    await log.query('select listenql.publish($1, $2::text)', [name, 'x'])
  expect((await log.fresh()).length).toBe(5)
})

it('a topic is (kind, name): a channel named like the oid of a table is distinct from the table', async () => {
  const [row] = await log.query(`select 't'::regclass::oid::text as oid`)
  await log.query('select listenql.publish($1, $2::text)', [row?.oid, 'x'])
  expect(await log.fresh()).toMatchObject([{ kind: 'c', topic: row?.oid }])
})
