import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { TestSubscription } from '../../support/clients.js'
import { query } from '../../support/graphql-request.js'
import { createLive, endOf, type Live, nextChange } from '../../support/live.js'
import { createLog, type TestLog } from '../../support/log.js'

let log: TestLog
let live: Live
beforeAll(async () => {
  log = await createLog()
})
afterAll(() => log.close())

beforeEach(async () => {
  await log.query(`create schema other; create table people (pk int primary key, name text);
    create table people_new (pk int primary key, name text); create table other.people (pk int primary key, name text);
    insert into people values (1, 'former'); insert into people_new values (1, 'new'); insert into other.people values (1, 'other')`)
  await log.watch('people', 'people_new', 'other.people')
  live = await createLive(log)
  await live.ready('{ people { cursor } peopleNew { cursor } otherPeople { cursor } }')
})
afterEach(async () => {
  await live.close()
  await log.query(`select listenql.unwatch(relid) from listenql.watched`)
  await log.database.query(`drop schema if exists other cascade; drop schema if exists former cascade; drop schema if exists temporary cascade;
    drop table if exists people, people_new, people_old cascade`)
})

const PEOPLE = 'subscription { peopleChanged { operation row { name } } }'
const NEW = 'subscription { peopleNewChanged { row { name } } }'
const OTHER = 'subscription { otherPeopleChanged { row { name } } }'
const SWAP = [
  'alter table people rename to people_old',
  'alter table people_new rename to people',
  'alter table people_old rename to people_new',
]

/** From here on, events of the table that is named `people` now arrive, and no others. */
async function startsAnew(): Promise<void> {
  await live.ready('{ people { cursor rows { name } } }')
  const after = await live.cursor('people')
  const subscription = await live.subscribe(PEOPLE, { after })
  await log.query(`insert into people values (2, 'after')`)
  expect(await nextChange(subscription)).toEqual({ operation: 'INSERT', row: { name: 'after' } })
  await subscription.close()
}

describe('another table under a name', () => {
  it.each([
    ['two watched tables that swap names in one transaction', [SWAP.join(';')]],
    [
      'two tables that swap names by ALTER TABLE SET SCHEMA',
      [
        `create schema temporary; alter table people set schema temporary; alter table other.people set schema public;
         alter table temporary.people set schema other`,
      ],
    ],
    [
      'two tables that swap names by renamed schemas',
      [
        'alter schema public rename to former; alter schema other rename to public; alter schema former rename to other',
      ],
    ],
    [
      'a dropped table and another one that takes its name',
      ['drop table people; alter table people_new rename to people'],
    ],
    ['DROP and CREATE', ['drop table people; create table people (pk int primary key, name text)']],
  ])('%s: streams end, and old cursors expire', async (_what, statements) => {
    const stream = await live.subscribe(PEOPLE)
    const after = await live.cursor('people')
    for (const sql of statements) await (sql.startsWith('alter schema') ? log.database : log).query(sql) // before 15, schema public belongs to the superuser
    expect(await endOf(stream)).toBe('CURSOR_EXPIRED')
    await live.ready('{ people { cursor } }')
    expect(await live.refusal(PEOPLE, after)).toBe('CURSOR_EXPIRED')
    await startsAnew()
  })

  it('step by step, each noticed by the server: streams end, and old cursors expire', async () => {
    const stream = await live.subscribe(PEOPLE)
    const after = await live.cursor('people')
    const ends: TestSubscription[] = [await live.subscribe(NEW)]
    await log.query(SWAP[0] as string)
    await live.ready('{ peopleOld { cursor } }')
    expect(await endOf(stream)).toBe('SCHEMA_CHANGED') // there is no people at the moment
    await log.query(SWAP[1] as string)
    await live.ready('{ people { cursor } }')
    expect(await endOf(ends[0] as TestSubscription)).toBe('SCHEMA_CHANGED')
    expect(await live.refusal(PEOPLE, after)).toBe('CURSOR_EXPIRED')
    await startsAnew()
  })

  it('ends the history even if no server refreshes meanwhile', async () => {
    const after = await live.cursor('people')
    await live.close()
    await log.query(SWAP.join(';'))
    live = await createLive(log)
    await live.ready('{ people { cursor } }')
    expect(await live.refusal(PEOPLE, after)).toBe('CURSOR_EXPIRED')
    await startsAnew()
  })

  it('does not end the streams of other tables', async () => {
    const bystander = await live.subscribe(OTHER)
    const stream = await live.subscribe(PEOPLE)
    await log.query(SWAP.join(';'))
    expect(await endOf(stream)).toBe('CURSOR_EXPIRED')
    await log.query(`insert into other.people values (2, 'there')`)
    expect(await nextChange(bystander)).toEqual({ row: { name: 'there' } })
    await bystander.close()
  })

  it('is not read as the former one by a snapshot before the server has refreshed', async () => {
    await live.close()
    live = await createLive(log, { catalogInterval: 60_000 })
    await live.ready('{ people { cursor } }')
    await log.query(SWAP.join(';'))
    const response = await query(live.server.url, '{ people { cursor rows { name } } }').catch(String)
    expect(response).toContain('SCHEMA_CHANGED')
  })
})

it('a renamed table is streamed under its new name, with a history of its own', async () => {
  const former = await live.cursor('people')
  await log.query('alter table people rename to people_old')
  await live.ready('{ peopleOld { cursor } }')
  const document = 'subscription { peopleOldChanged { row { name } } }'
  expect(await live.refusal(document, former)).toBe('CURSOR_EXPIRED')
  const stream = await live.subscribe(document, { after: await live.cursor('peopleOld') })
  await log.query(`insert into people_old values (3, 'on')`)
  expect(await nextChange(stream)).toEqual({ row: { name: 'on' } })
  await stream.close()
})
