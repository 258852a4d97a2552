import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { migrate } from '../../src/log/migrations.js'
import { createLog, type Delivery, endOf, lines, refusal, type TestLog } from '../support/log.js'
import { startPrivatePostgres } from '../support/postgres.js'
import { waitUntil } from '../support/wait.js'

let log: TestLog
beforeAll(async () => {
  log = await createLog()
  await log.query('create table t (id int primary key, v int)')
  await log.watch('t')
})
afterAll(() => log.close())

const ids = (events: readonly Delivery[]) => events.map(event => JSON.parse(event.new ?? '{}').id)

describe('transactions that overlap', () => {
  it('do not stall the log while one stays open, and reading by `id > last` would lose its events', async () => {
    await log.fresh()
    const slow = await log.connect()
    await slow.query('begin; insert into t values (1, 0)') // draws the lower id, commits last
    await log.query('insert into t values (2, 0)')
    const naive = async (last: number) =>
      (await log.query('select id::int from listenql.event where id > $1 order by id', [last])).map(row =>
        Number(row.id),
      )
    const last = (await naive(0)).at(-1) ?? 0
    const first = await log.fresh()
    expect(ids(first)).toEqual([2])
    await slow.query('commit')
    const second = await log.fresh()
    expect(ids(second)).toEqual([1])
    expect(await naive(last)).toEqual([]) // a reader by `id > last` never gets row 1
    expect(second[0]?.id).toBeLessThan(first[0]?.id ?? 0)
  })

  it('log the changes of one row in the order in which they locked it', async () => {
    const a = await log.connect()
    const b = await log.connect()
    await log.query('insert into t values (10, 0), (11, 0)')
    await log.fresh()
    await a.query('begin; update t set v = 1 where id = 11')
    await b.query('begin; update t set v = 1 where id = 10') // b began later and has a later xid
    const waiting = b.query('update t set v = 2 where id = 11')
    await waitUntil(
      async () =>
        (
          await log.query(
            `select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
          )
        ).length,
      'b to wait',
    )
    await a.query('update t set v = 5 where id = 11; commit')
    await waiting
    await b.query('commit')
    expect(lines(await log.fresh()).filter(text => text.includes('"id":11'))).toEqual([
      'U {"id":11,"v":0} -> {"id":11,"v":1}',
      'U {"id":11,"v":1} -> {"id":11,"v":5}',
      'U {"id":11,"v":5} -> {"id":11,"v":2}',
    ])
  })

  it('appear in an uncontested batch as its snapshot sees them, in the same way for every page size', async () => {
    const start = await log.newest()
    for (let i = 0; i < 20; i++)
      await log.query(`insert into t select g, 0 from generate_series($1::int, $1::int + 4) g`, [
        100 + i * 10,
      ])
    const whole = await log.pull(start, 1000)
    expect(whole.length).toBe(100)
    expect(new Set(whole.map(event => event.n)).size).toBe(1)
    expect(whole.map(event => event.ord)).toEqual(whole.map((_, index) => Math.floor(index / 5) + 1))
    for (const size of [1, 3, 5, 7, 99]) {
      const paged: Delivery[] = []
      for (let at = start; ; ) {
        const page = await log.read(at, size)
        const last = page.at(-1)
        if (!last) break
        paged.push(...page)
        at = last
      }
      expect(paged).toEqual(whole)
    }
  })

  it('appear in the same batch for all readers that race for it', async () => {
    const start = await log.newest()
    const readers = await Promise.all(Array.from({ length: 6 }, () => log.connect()))
    let running = true
    const writers = Array.from({ length: 4 }, async (_, w) => {
      for (let i = 0; i < 60; i++) await log.query('insert into t values ($1, 0)', [10_000 + w * 1000 + i])
    })
    const seen = readers.map(async client => {
      const all: string[] = []
      let at = start
      for (let last = false; ; ) {
        const { rows } = await client.query<Delivery>('select * from listenql.pull($1, $2, $3, $4, $5, 50)', [
          at.n,
          at.token,
          at.ord,
          at.statement,
          at.id,
        ])
        const event = rows.at(-1)
        all.push(...rows.map(row => row.new ?? ''))
        if (event) at = event
        else if (last) return all
        else last = !running
      }
    })
    await Promise.all(writers)
    running = false
    const [first, ...others] = await Promise.all(seen)
    expect(first?.length).toBe(240)
    expect(new Set(first).size).toBe(240)
    for (const other of others) expect(other).toEqual(first)
    await log.fresh()
  })
})

describe('prepared transactions', () => {
  it('become events at COMMIT PREPARED, without a bell because they cannot NOTIFY', async () => {
    const postgres = await startPrivatePostgres({ settings: { max_prepared_transactions: '4' } })
    const client = new pg.Client({ connectionString: postgres.adminUrl })
    try {
      await client.connect()
      await migrate(client)
      await client.query(
        `create table t (id int primary key); select listenql.watch('t'); select listenql.refresh()`,
      )
      expect((await client.query('select listenql.arm(10) as armed')).rows).toEqual([{ armed: false }])
      const position = (await client.query('select * from listenql.newest()')).rows[0]
      const pull = () =>
        client
          .query('select new from listenql.pull($1, $2, 2147483647, 0, 0, 10)', [position.n, position.token])
          .then(result => result.rows.map(row => row.new))
      await client.query(`begin; insert into t values (1); prepare transaction 'one'`)
      await client.query('insert into t values (2)')
      expect(await pull()).toEqual(['{"id":2}'])
      await client.query(`commit prepared 'one'`)
      expect(await pull()).toEqual(['{"id":2}', '{"id":1}'])
    } finally {
      await client.end()
      await postgres.close()
    }
  })
})

describe('positions', () => {
  it('of another history, or ahead of this history, are refused', async () => {
    const newest = await log.newest()
    expect(await refusal(log.read({ ...newest, token: newest.token + 1 }))).toBe('LQ001')
    expect(await refusal(log.pull({ ...newest, n: newest.n + 5 }))).toBe('LQ001')
    expect(await refusal(log.read({ ...newest, n: -1 }))).toBe('LQ002')
    expect(await log.read(newest)).toEqual([])
  })

  it('of a history lost in a failover are recognised by their token', async () => {
    const other = await createLog()
    try {
      await other.query(`select listenql.publish('c', 'lost')`)
      const start = await other.newest()
      const [event] = await other.pull(start)
      // A failover has this effect: the last batch is lost and another batch takes its number.
      await other.query('delete from listenql.batch where n = $1', [event?.n])
      await other.query(`select listenql.publish('c', 'other')`)
      const [again] = await other.pull(start)
      expect(again?.n).toBe(event?.n)
      expect(await refusal(other.pull(endOf(event ?? { n: 0, token: 0 })))).toBe('LQ001')
    } finally {
      await other.close()
    }
  })

  it('can be read in READ COMMITTED only, and the error says so', async () => {
    const client = await log.connect()
    await client.query('begin isolation level repeatable read')
    expect(await refusal(client.query('select listenql.pull(0, 0, 0, 0, 0, 1)'))).toBe('LQ003')
    await client.query('rollback')
  })
})

describe('a snapshot and the changes after it', () => {
  it('meet without a gap or a duplicate while four writers write', async () => {
    await log.query('create table s (id int primary key, v int)')
    await log.watch('s')
    let running = true
    const writers = Array.from({ length: 4 }, async (_, w) => {
      for (let i = 0; running; i++) {
        const id = w * 100_000 + (i % 50)
        await log.query(`insert into s values ($1, $2) on conflict (id) do update set v = excluded.v`, [
          id,
          i,
        ])
        if (i % 7 === 0) await log.query('delete from s where id = $1', [id])
      }
    })
    const puller = (async () => {
      for (let at = await log.newest(); running; ) at = (await log.pull(at, 500)).at(-1) ?? at
    })()
    const starts: { rows: Map<number, number>; at: ReturnType<typeof endOf> }[] = []
    try {
      const cutter = await log.connect()
      const reader = await log.connect()
      while (starts.length < 15) {
        await cutter.query('begin isolation level repeatable read')
        try {
          const { rows } = await cutter.query<{ n: string; token: string }>('select * from listenql.cut()')
          const exported = await cutter.query<{ id: string }>('select pg_export_snapshot() as id')
          await reader.query(
            `begin isolation level repeatable read; set transaction snapshot '${exported.rows[0]?.id}'`,
          )
          await cutter.query('commit') // only now does the position count
          const read = await reader.query<{ id: number; v: number }>('select id, v from s')
          await reader.query('commit')
          starts.push({
            rows: new Map(read.rows.map(row => [row.id, row.v])),
            at: endOf({ n: Number(rows[0]?.n), token: Number(rows[0]?.token) }),
          })
        } catch (error) {
          if ((error as { code?: string }).code !== '40001') throw error // lost the race for the batch: retry
          await cutter.query('rollback')
        }
      }
    } finally {
      running = false
      await Promise.all([...writers, puller])
    }
    await log.fresh()
    const expected = (await log.query('select id, v from s order by id')).map(row => [row.id, row.v])
    let wrong = 0
    for (const { rows, at } of starts) {
      for (let position = at; ; ) {
        const page = await log.read(position, 5000)
        const last = page.at(-1)
        if (!last) break
        for (const event of page) {
          const old = JSON.parse(event.old ?? 'null')
          const row = JSON.parse(event.new ?? 'null')
          // The old image must be exactly what this client holds; otherwise it missed or repeated a change.
          if (rows.get((old ?? row).id) !== old?.v) wrong++
          if (old) rows.delete(old.id)
          if (row) rows.set(row.id, row.v)
        }
        position = last
      }
      expect([...rows].sort(([a], [b]) => a - b)).toEqual(expected)
      expect(wrong).toBe(0)
    }
  })
})

describe('the doorbell', () => {
  it('rings once for a sleeping server, and neither while a server is awake nor after the lease has expired', async () => {
    const [row] = await log.query('show max_prepared_transactions')
    if (Number(row?.max_prepared_transactions) > 0)
      await log.database.query(`alter database ${log.database.name} set listenql.bell = 'on'`)
    const server = await log.connect()
    const rung: string[] = []
    server.on('notification', message => rung.push(message.payload ?? ''))
    await server.query('listen listenql')
    const settled = () => server.query('select 1') // notifications arrive before its answer
    await log.query('insert into t values (40, 0)')
    await settled()
    expect(rung).toEqual([])
    expect((await server.query('select listenql.arm(60) as armed')).rows).toEqual([{ armed: true }])
    await log.query('begin; insert into t values (41, 0); update t set v = 1 where id = 41; commit')
    await waitUntil(() => rung.length, 'the bell')
    expect(rung.length).toBe(1)
    await log.query('update t set v = 1 where id = 0') // touches no row
    await server.query('select listenql.clear($1)', [rung[0]])
    await log.query('insert into t values (42, 0)')
    await settled()
    expect(rung.length).toBe(1)
    await server.query('select listenql.clear(999999)') // never drawn, so it is ignored
    await server.query('select listenql.arm(60)')
    await log.query(`select listenql.publish('c', 'x')`)
    await waitUntil(() => rung.length === 2, 'the bell')
    await log.query(`select setval('listenql.lease', 1)`)
    await log.query('insert into t values (43, 0)')
    await settled()
    expect(rung.length).toBe(2)
  })
})
