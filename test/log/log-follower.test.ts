import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { LogEvent } from '../../src/log/log-event.js'
import { LogFollower } from '../../src/log/log-follower.js'
import { migrate } from '../../src/log/migrations.js'
import { createBell, createPollDoorbell, type Doorbell } from '../../src/log/pace/doorbell.js'
import { comparePositions } from '../../src/log/position.js'
import { Inbox } from '../support/inbox.js'
import { createTestDatabase, type TestDatabase } from '../support/postgres.js'
import { waitUntil } from '../support/wait.js'

let database: TestDatabase
const cleanUps: (() => unknown)[] = []

beforeAll(async () => {
  database = await createTestDatabase()
  const client = new pg.Client(database.adminUrl)
  await client.connect()
  await migrate(client)
  await client.end()
})
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})
afterAll(() => database.close())

async function open(doorbell: Doorbell): Promise<LogFollower> {
  const log = new LogFollower({
    config: { connectionString: database.adminUrl },
    doorbell,
    connectTimeout: 5000,
    reconnectMax: 100,
    observe: () => undefined,
  })
  cleanUps.push(() => log.close())
  log.start()
  await log.started()
  return log
}

function follow(log: LogFollower, channel: string): Inbox<LogEvent> {
  const inbox = new Inbox<LogEvent>()
  cleanUps.push(log.follow('c', channel, { event: inbox.push, lost: error => Promise.reject(error) }))
  return inbox
}

/** Passes notifications of the internal channel to a bell, as the LISTEN connection does. */
async function connectBell(bell: Doorbell): Promise<void> {
  const client = new pg.Client(database.adminUrl)
  await client.connect()
  client.on('notification', ({ payload }) => bell.ring(payload ?? ''))
  await client.query('listen listenql')
  bell.onListening(true)
  cleanUps.push(() => client.end())
}

const bells: [string, () => Promise<Doorbell>][] = [
  ['polling', async () => createPollDoorbell({ poll: 5 })],
  [
    'with the bell and without a safety read',
    async () => {
      const bell = createBell({ poll: 5, quiet: 20, settle: 5, safety: 600_000 })
      await connectBell(bell)
      return bell
    },
  ],
]

describe.each(bells)('the reader of the log, %s', (_name, makeDoorbell) => {
  it('delivers published events in one order, and a page read from a cursor holds the same events', async () => {
    const log = await open(await makeDoorbell())
    const start = log.position
    if (!start) throw new Error('the log is installed, and has a position')
    const inbox = follow(log, 'news')
    for (let i = 1; i <= 30; i++) {
      await database.query('select listenql.publish($1, $2::text)', ['news', `event ${i}`])
      // Every other event finds the reader asleep, or about to sleep.
      if (i % 2 === 0) expect((await inbox.next(`event ${i}`)).new).toBe(`event ${i / 2}`)
    }
    const rest = await inbox.take(15)
    expect(rest.at(-1)?.new).toBe('event 30')

    const replayed: LogEvent[] = []
    for (let page = await log.read(start); page.events.length > 0; page = await log.read(page.position)) {
      replayed.push(...page.events)
    }
    expect(replayed.map(event => event.new)).toEqual(Array.from({ length: 30 }, (_, i) => `event ${i + 1}`))
    for (const [i, event] of replayed.entries()) {
      expect(event).toMatchObject({ kind: 'c', topic: 'news', operation: 'N', old: null })
      const before = replayed[i - 1]
      if (before) expect(comparePositions(before.position, event.position)).toBeLessThan(0)
    }
  })

  it('continues at its position after its connection was killed', async () => {
    const log = await open(await makeDoorbell())
    const inbox = follow(log, 'killed')
    for (let round = 0; round < 3; round++) {
      await database.query('select listenql.publish($1, $2::text)', ['killed', `${round} before`])
      await database.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'listenql log'`,
      )
      await database.query('select listenql.publish($1, $2::text)', ['killed', `${round} after`])
      expect((await inbox.take(2)).map(event => event.new)).toEqual([`${round} before`, `${round} after`])
    }
  })
})

it('the reader refuses a cursor of another history, and a cursor ahead of its own', async () => {
  const log = await open(createPollDoorbell({ poll: 5 }))
  const position = log.position
  if (!position) throw new Error('the log is installed, and has a position')
  await expect(log.read({ ...position, token: position.token + 1 })).rejects.toMatchObject({
    code: 'CURSOR_INVALID',
  })
  await expect(log.read({ ...position, n: position.n + 1000 })).rejects.toMatchObject({
    code: 'CURSOR_INVALID',
  })
})

it('the reader waits for a log that is not installed yet', async () => {
  const bare = await createTestDatabase()
  cleanUps.push(() => bare.close())
  const log = new LogFollower({
    config: { connectionString: bare.adminUrl },
    doorbell: createPollDoorbell({ poll: 5 }),
    connectTimeout: 5000,
    reconnectMax: 100,
    observe: () => undefined,
  })
  cleanUps.push(() => log.close())
  log.start()
  expect(await log.started()).toBeUndefined()
  let lostWith: string | undefined
  log.follow('c', 'late', {
    event: () => undefined,
    lost(error) {
      lostWith = error.code
    },
  })
  const client = new pg.Client(bare.adminUrl)
  await client.connect()
  await migrate(client)
  await waitUntil(() => log.position !== undefined, 'the log to be found')
  expect(lostWith).toBe('CURSOR_EXPIRED') // events published before the log was found may have been missed
  const inbox = follow(log, 'late')
  await client.query('select listenql.publish($1, $2::text)', ['late', 'heard'])
  await client.end()
  expect((await inbox.next()).new).toBe('heard')
})

it('the reader delivers events published after followers learn of a lost history, even if another server reads them first', async () => {
  const own = await createTestDatabase()
  cleanUps.push(() => own.close())
  const setUp = new pg.Client(own.adminUrl)
  await setUp.connect()
  cleanUps.push(() => setUp.end())
  await migrate(setUp)
  const publish = (text: string) => own.query('select listenql.publish($1, $2::text)', ['news', text])

  const log = new LogFollower({
    config: { connectionString: own.adminUrl },
    doorbell: createPollDoorbell({ poll: 5 }),
    connectTimeout: 5000,
    reconnectMax: 100,
    observe: () => undefined,
  })
  cleanUps.push(() => log.close())
  log.start()
  await log.started()
  await publish('first')
  await waitUntil(async () => (await own.query('select from listenql.batch')).length > 1, 'a batch')

  // From now on the query for the end of the log waits for a lock of this test.
  const [whole] = await own.query(`select pg_get_functiondef('listenql.newest()'::regprocedure) as text`)
  await setUp.query('select pg_advisory_lock(1)')
  await own.query(String(whole?.text).replaceAll(/newest(?=[.(])/g, 'newest_whole'))
  await own.query(`create or replace function listenql.newest(out n bigint, out token bigint) language plpgsql
    security definer set search_path = pg_catalog, pg_temp as $$ begin
      perform pg_advisory_lock(1); perform pg_advisory_unlock(1);
      select w.n, w.token into n, token from listenql.newest_whole() w;
    end $$`)
  const inbox = new Inbox<string>()
  let published: Promise<unknown> | undefined
  log.follow('c', 'news', {
    event: () => undefined,
    lost() {
      log.follow('c', 'news', { event: event => inbox.push(event.new ?? ''), lost: () => undefined })
      published = publish('after the loss').then(() => own.query('select listenql.cut_batch()')) // as another server does
    },
  })
  await own.query(
    `with lost as (delete from listenql.batch where n = (select max(n) from listenql.batch) returning xids)
     delete from listenql.event where xid in (select unnest(xids) from lost)`,
  )
  const isWaiting = `select from pg_locks where locktype = 'advisory' and not granted and database = (select oid from pg_database where datname = current_database())`
  await waitUntil(async () => (await own.query(isWaiting)).length > 0, 'the follower to look for the end')
  await published // if followers were notified by now, that happened before the end is known
  await setUp.query('select pg_advisory_unlock(1)')
  expect(await inbox.next()).toBe('after the loss')
})

it('tells when it last made a step: each safety read is one, and while it waits for a checkpoint there is none', async () => {
  let hold: Promise<void> | undefined
  let isHeld = false
  const log = new LogFollower({
    config: { connectionString: database.adminUrl },
    doorbell: createPollDoorbell({ poll: 1 }),
    connectTimeout: 5000,
    reconnectMax: 100,
    checkpoint: {
      beforePull: () => undefined,
      advanceTo: () => undefined,
      caughtUp() {
        isHeld = hold !== undefined
        return hold
      },
    },
    observe: () => undefined,
  })
  cleanUps.push(() => log.close())
  log.start()
  await log.started()
  const before = log.movedAt
  await expect.poll(() => log.movedAt).toBeGreaterThan(before)

  let release = () => {}
  hold = new Promise(resolve => {
    release = resolve
  })
  await waitUntil(() => isHeld, 'the checkpoint')
  const at = log.movedAt
  for (let reads = 0; reads < 20; reads++) await database.query('select 1')
  expect(log.movedAt).toBe(at)
  hold = undefined
  release()
  await expect.poll(() => log.movedAt).toBeGreaterThan(at)
})
