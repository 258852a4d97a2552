import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createLog, lines, refusal, type TestLog } from '../support/log.js'
import type { Row } from '../support/postgres.js'

let log: TestLog
beforeEach(async () => {
  log = await createLog()
  await log.query('create table t (id int primary key, v text)')
  await log.watch('t')
  await log.fresh()
})
afterEach(() => log.close())

const rotateOnce = async (age: string, bytes: number | null = null): Promise<Row> =>
  (await log.query('select * from listenql.rotate($1::interval, $2)', [age, bytes]))[0] ?? {}
/** Retries, because any transaction of the cluster, including autovacuum, may block rotation for a moment. */
async function rotate(age: string, bytes: number | null = null): Promise<Row> {
  for (let attempt = 0; ; attempt++) {
    const row = await rotateOnce(age, bytes)
    if (attempt === 20 || row.dropped !== 0 || !/still open/.test(String(row.busy))) return row
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}
const status = async (): Promise<Row> => (await log.query('select * from listenql.status()'))[0] ?? {}
/** Ages the events logged so far. */
const age = (hours: number) =>
  log
    .query(`update listenql.batch set at = at - make_interval(hours => $1); `, [hours])
    .then(() =>
      log.query(`update listenql.history set slot_opened = slot_opened - make_interval(hours => $1)`, [
        hours,
      ]),
    )
/** Images of this size are not packed. */
const many = (from: number) =>
  log.query(`insert into t select g, repeat('x', 2000) from generate_series($1::int, $1::int + 999) g`, [
    from,
  ])

describe('retention by age', () => {
  it('keeps younger events and drops older ones by whole partitions', async () => {
    const start = await log.newest()
    await many(0)
    expect(await rotate('24 hours')).toMatchObject({ dropped: 0, busy: null })
    const [first] = await log.read(start, 1)
    await age(10) // a third of the retention time has passed, so the next partition is due
    expect(await rotate('24 hours')).toMatchObject({ dropped: 0, busy: null })
    await many(1000)
    await rotate('24 hours')
    const middle = await log.newest()
    await age(10)
    expect(await rotate('24 hours')).toMatchObject({ dropped: 0 })
    expect((await log.read(start, 5000)).length).toBe(2000)
    await age(10) // the first thousand events are 30 hours old, the second thousand 20 hours
    const dropped = await rotate('24 hours')
    expect(dropped).toMatchObject({ dropped: 1, early: 0, busy: null })
    expect(Number(dropped.dropped_bytes)).toBeGreaterThan(100_000)
    expect(await refusal(log.read(start))).toBe('LQ002')
    expect(await refusal(log.pull(first ?? start))).toBe('LQ002')
    const horizon = Number((await status()).horizon)
    expect(horizon).toBe(first?.n)
    expect((await log.query('select min(n)::int as min from listenql.batch'))[0]).toEqual({ min: horizon })
    // The end of the last dropped batch is still a valid position.
    expect(
      (await log.read({ n: horizon, token: first?.token ?? 0, ord: 2147483647, statement: 0, id: 0 }, 5000))
        .length,
    ).toBe(1000)
    expect(await log.read(middle)).toEqual([])
  })

  it('moves to the next partition when it is due and not earlier', async () => {
    const head = async () => (await log.query('select last_value::int from listenql.head'))[0]?.last_value
    await many(0)
    for (let time = 0; time < 5; time++) await rotate('24 hours')
    expect(await head()).toBe(0)
    await age(9)
    for (let time = 0; time < 5; time++) await rotate('24 hours')
    expect(await head()).toBe(1)
  })

  it('keeps events that are not in a batch yet, however old they are', async () => {
    const start = await log.newest()
    const slow = await log.connect()
    await slow.query(`begin; insert into t values (1, 'slow')`)
    await log.query(`select nextval('listenql.head')`)
    await age(1000)
    expect(await rotate('1 hour')).toMatchObject({ dropped: 0 })
    await log.query(`insert into t values (2, 'quick')`)
    await rotate('1 hour')
    await slow.query('commit')
    expect((await rotate('1 hour')).dropped).toBe(0)
    expect(lines(await log.pull(start)).sort()).toEqual(['I {"id":1,"v":"slow"}', 'I {"id":2,"v":"quick"}'])
  })

  it('drops old events even if another session was busy when they were logged and nothing was written since', async () => {
    const other = await log.connect()
    await other.query('begin; select pg_current_xact_id()')
    await many(0)
    await log.fresh()
    await age(9)
    await rotate('24 hours')
    await age(30)
    expect(await rotate('24 hours')).toMatchObject({ dropped: 0 })
    await other.query('rollback')
    expect(await rotate('24 hours')).toMatchObject({ dropped: 1, busy: null })
  })

  it('goes round the ring of partitions indefinitely', async () => {
    for (let round = 0; round < 12; round++) {
      const start = await log.newest()
      await many(round * 1000)
      expect((await log.pull(start, 5000)).length).toBe(1000)
      await age(10)
      expect((await rotate('24 hours')).busy).toBe(null)
    }
    expect(Number((await status()).horizon)).toBeGreaterThan(0)
    const rows = await log.query('select count(*)::int as count from listenql.event')
    expect(Number(rows[0]?.count)).toBeLessThanOrEqual(4000)
  })
})

describe('retention by size', () => {
  it('ends the history before the disk is full', async () => {
    const start = await log.newest()
    await many(0)
    const before = Number((await status()).bytes)
    const result = await rotate('24 hours', 150_000)
    expect(result).toMatchObject({ dropped: 1, early: 1, busy: null })
    expect(Number(result.bytes)).toBeLessThan(before)
    expect(Number(result.bytes)).toBeLessThan(150_000)
    expect(await refusal(log.read(start))).toBe('LQ002')
    await log.query(`insert into t values (5000, 'x')`)
    const now = await log.newest()
    expect(lines(await log.pull(now))).toEqual(['I {"id":5000,"v":"x"}'])
  })
})

describe('rotation beside other sessions', () => {
  it('neither waits for an uncommitted writer nor makes it wait', async () => {
    const slow = await log.connect()
    await slow.query(`begin; insert into t values (1, 'slow')`)
    await log.query(`select nextval('listenql.head')`) // its partition is no longer the current one
    const result = await rotate('0 s', 1)
    expect(result.dropped).toBe(0)
    await slow.query(`insert into t values (2, 'slow'); commit`)
    expect((await log.fresh()).length).toBe(2)
  })

  it('keeps a partition that a reader has open, and reports it as busy', async () => {
    await many(0)
    await log.fresh()
    const reader = await log.connect()
    await reader.query('begin; select count(*) from listenql.event')
    const result = await rotate('0 s', 1)
    expect(result).toMatchObject({ dropped: 0 })
    expect(result.busy).toMatch(/in use/)
    await log.query(`insert into t values (5000, 'x')`) // no session queues for the lock that the attempt asked for
    await reader.query('commit')
    expect(await rotate('0 s', 1)).toMatchObject({ dropped: 2, busy: null })
  })

  it('never shortens a page that TRUNCATE overtakes: the page is refused', async () => {
    const start = await log.newest()
    await many(0)
    await log.pull(start, 1)
    // A reader whose snapshot is older than the TRUNCATE, like one that starts to read at that moment.
    const reader = await log.connect()
    await reader.query('begin')
    await reader.query(
      `declare c cursor for select * from listenql.read(${start.n}, ${start.token}, ${start.ord}, 0, 0, 100)`,
    )
    await rotate('0 s', 1)
    expect(await refusal(reader.query('fetch all from c'))).toBe('LQ002')
    await reader.query('rollback')
  })

  it('is done by one of two sessions that rotate at once', async () => {
    await many(0)
    const results = await Promise.all([rotate('0 s', 1), rotate('0 s', 1), rotate('0 s', 1)])
    expect(results.map(result => Number(result.dropped)).reduce((a, b) => a + b)).toBe(1)
  })
})

describe('status', () => {
  it('counts events that are not in a batch yet', async () => {
    await log.fresh()
    expect(await status()).toMatchObject({ pending: '0', pending_since: null })
    const slow = await log.connect()
    await slow.query(`begin; insert into t values (1, 'slow')`)
    await log.query(`insert into t values (2, 'quick')`)
    expect(await status()).toMatchObject({ pending: '1', pending_since: expect.any(Date) })
    await log.fresh()
    expect(await status()).toMatchObject({ pending: '0' })
    await slow.query('commit') // was running when the newest batch was created
    expect(await status()).toMatchObject({ pending: '1' })
    expect((await log.fresh()).length).toBe(1)
    await log.query(`insert into t select g, 'x' from generate_series(10, 20009) g`)
    expect(await status()).toMatchObject({ pending: '10001' })
  })
})

describe('a log from another database', () => {
  it('starts a new history after a restored dump and in a copied database', async () => {
    await log.query(`insert into t values (1, 'x')`)
    const [event] = await log.fresh()
    await log.query('update listenql.history set system_identifier = 1')
    const start = await log.newest()
    expect(start.n).toBe((event?.n ?? 0) + 1)
    expect(await refusal(log.read(event ?? start))).toBe('LQ002')
    expect(await log.newest()).toEqual(start)
    await log.query(`insert into t values (2, 'y')`)
    expect(lines(await log.pull(start))).toEqual(['I {"id":2,"v":"y"}'])
    expect(await status()).toMatchObject({
      version: expect.any(Number),
      horizon: String(start.n),
      watched: 1,
    })
  })

  it.each([
    ['refresh', () => log.refresh()],
    ['watch', () => log.watch('t')],
  ])('has triggers that call functions named after foreign oids, and %s creates its own', async (_, heal) => {
    const [row] = await log.query(
      `select 't'::regclass::oid as oid, (select generation from listenql.watched) as generation`,
    )
    await log.query(`update listenql.history set database = 1; update listenql.watched_table set fingerprint = 'of elsewhere';
      alter function listenql.capture_${row?.oid}() rename to capture_4000000000;
      alter function listenql.number_${row?.oid}() rename to number_4000000000`)
    await log.query(`insert into t values (1, 'works at once')`)
    expect(await log.read(await log.newest())).toEqual([])
    await heal()
    await log.refresh()
    const watched = await log.query('select generation, since_n is not null as whole from listenql.watched')
    expect(watched).toEqual([{ generation: Number(row?.generation) + 1, whole: true }])
    const functions = await log.query(
      `select p.proname from pg_trigger t join pg_proc p on p.oid = t.tgfoid where t.tgrelid = 't'::regclass group by 1`,
    )
    expect(functions.map(({ proname }) => proname).sort()).toEqual([
      `capture_${row?.oid}`,
      `number_${row?.oid}`,
    ])
    expect(await log.query(`select from pg_proc where proname like '%_4000000000'`)).toEqual([])
    const start = await log.newest()
    await log.query(`insert into t values (2, 'b')`)
    expect(lines(await log.pull(start))).toEqual(['I {"id":2,"v":"b"}'])
  })
})
