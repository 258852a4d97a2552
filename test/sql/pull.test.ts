import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readMigrations } from '../../src/log/migration-files.js'
import { migrate } from '../../src/log/migrations.js'
import { DECOYS } from '../support/decoys.js'
import { createFormerLog } from '../support/former-log.js'
import { createLog, type Delivery, END, endOf, lines, type Position, type TestLog } from '../support/log.js'
import { waitUntil } from '../support/wait.js'

let log: TestLog
beforeEach(async () => {
  log = await createLog()
  await log.query('create table t (id int primary key, v text)')
  await log.watch('t')
})
afterEach(() => log.close())

const OUTLINE =
  'n, token, ord, statement, id, xid, at::text as at, kind, topic, generation, operation, old, new'

type Name = 'pull' | 'read' | 'former_pull' | 'former_read'

/** Calls a function on a connection. The columns are numbers as text, so that results compare. */
async function call(client: pg.Client, name: Name, after: Position, most: number): Promise<Delivery[]> {
  const { rows } = await client.query<Delivery>(
    `select ${OUTLINE} from listenql.${name}($1, $2, $3, $4, $5, $6)`,
    [after.n, after.token, after.ord, after.statement, after.id, most],
  )
  return rows
}

/** Everything after a position, page by page. */
async function all(client: pg.Client, name: Name, start: Position, most: number): Promise<Delivery[]> {
  const events: Delivery[] = []
  for (let after = start; ; ) {
    const page = await call(client, name, after, most)
    const last = page.at(-1)
    if (!last) return events
    events.push(...page)
    after = last
  }
}

/** Installs `read` and `pull` of version 15 under other names; `cut_batch` is still that of version 10. */
async function installFormerFunctions(): Promise<void> {
  const sql = readMigrations().find(({ version }) => version === 2)?.sql ?? ''
  for (const name of ['read', 'pull']) {
    const from = sql.indexOf(`create function listenql.${name}(`)
    const text = sql.slice(from, sql.indexOf('end $$;', from) + 'end $$;'.length)
    await log.query(text.replaceAll(/listenql\.(read|pull)\(/g, 'listenql.former_$1('))
  }
}

/** Each batch holds, in order, the transactions with events that its snapshot sees and the one before does not. */
async function expectLedger(): Promise<void> {
  const batches = await log.query(`select b.n, b.xids::text, array(
      select e.xid from listenql.event e
      where pg_visible_in_snapshot(e.xid, b.snapshot) and not pg_visible_in_snapshot(e.xid, former.snapshot)
      group by e.xid order by max(e.id))::text as expected
    from listenql.batch b join listenql.batch former on former.n = b.n - 1`)
  expect(batches.length).toBeGreaterThan(0)
  for (const { xids, expected } of batches) expect(xids).toBe(expected)
}

describe('pull and read', () => {
  it('return what those of version 15 return, at every position, while both cut and transactions overlap', async () => {
    await installFormerFunctions()
    const start = await log.newest()
    const writers = await Promise.all(Array.from({ length: 5 }, () => log.connect()))
    const readers = await Promise.all(Array.from({ length: 4 }, () => log.connect()))
    let running = true
    const writing = writers.map(async (client, w) => {
      for (let i = 0; i < 40; i++) {
        const id = w * 1000 + i * 4
        const statements = [
          `insert into t select g, 'a' from generate_series(${id}, ${id + (i % 4)}) g`,
          `update t set v = 'b' where id = ${id}`,
          `select listenql.publish('c', '${id}')`,
          `savepoint s; delete from t where id = ${id}; rollback to s`,
        ].slice(0, 1 + ((i + w) % 4))
        await client.query('begin')
        for (const sql of statements) await client.query(sql)
        await client.query((i + w) % 7 === 0 ? 'rollback' : 'commit')
      }
    })
    const reading = readers.map(async (client, r) => {
      const events: Delivery[] = []
      for (let after = start, ended = false; ; ) {
        const page = await call(client, r % 2 ? 'pull' : 'former_pull', after, [1000, 3][r >> 1] as number)
        const last = page.at(-1)
        events.push(...page)
        if (last)
          after = page.length < 3 ? endOf(last) : last // from within a batch and from its end
        else if (ended) return events
        else ended = !running
      }
    })
    await Promise.all(writing)
    running = false
    const [first, ...others] = await Promise.all(reading)
    expect(first?.length).toBeGreaterThan(400)
    for (const other of others) expect(other).toEqual(first)
    await expectLedger()
    const [client] = readers as [pg.Client]
    expect(new Set(first?.map(({ n }) => n)).size).toBeGreaterThan(20)
    for (const most of [1000, 7]) {
      expect(await all(client, 'read', start, most)).toEqual(first)
      expect(await all(client, 'former_read', start, most)).toEqual(first)
    }
    for (const [i, event] of (first ?? []).entries()) {
      if (i % 11 > 0) continue
      for (const after of [event, endOf(event), { ...event, ord: event.ord + 1, statement: 0, id: 0 }])
        expect(await call(client, 'read', after, 20)).toEqual(await call(client, 'former_read', after, 20))
    }
  })

  it('put the transactions of a batch in the order of their last events, also if none runs when it is cut', async () => {
    const [a, b] = [await log.connect(), await log.connect()]
    await a.query('begin; select pg_current_xact_id()')
    await b.query(`begin; insert into t values (1, 'b'); commit`) // a higher xid, and a lower id
    await a.query(`insert into t values (2, 'a'); commit`)
    expect(lines(await log.pull(await log.newest()))).toEqual(['I {"id":1,"v":"b"}', 'I {"id":2,"v":"a"}'])
    await expectLedger()
  })

  it.each(['begins and commits', 'commits'])(
    'leave a transaction to the next batch that %s after the snapshot was taken, before the log is looked at',
    async when => {
      const [open, locker, reader] = [await log.connect(), await log.connect(), await log.connect()]
      const start = await log.newest()
      if (when === 'commits') await open.query(`begin; insert into t values (2, 'late')`)
      await log.query(`insert into t values (1, 'a')`)
      // A partition that nothing is written to: the reader waits for it with its snapshot.
      await locker.query('begin; lock table listenql.event_3 in access exclusive mode')
      const pulled = call(reader, 'pull', start, 10)
      await waitUntil(
        async () =>
          (
            await log.query(
              `select from pg_locks where relation = 'listenql.event_3'::regclass and not granted`,
            )
          ).length,
        'the reader to wait',
      )
      await open.query(when === 'commits' ? 'commit' : `insert into t values (2, 'late')`)
      await locker.query('rollback')
      const first = await pulled
      const second = await call(reader, 'pull', endOf(first[0] as Delivery), 10)
      expect([lines(first), lines(second)]).toEqual([['I {"id":1,"v":"a"}'], ['I {"id":2,"v":"late"}']])
      await expectLedger()
    },
  )

  it('refuse the same positions with the same codes and hints, and end pages at the same size', async () => {
    await installFormerFunctions()
    await log.query(`insert into t select g, repeat('x', 900000) from generate_series(1, 12) g`)
    const start = await log.newest()
    const client = await log.connect()
    const [event] = await call(client, 'pull', start, 1)
    await log.query(`select listenql.publish('c', 'later')`)
    await log.query('update listenql.history set horizon = $1', [start.n])
    const given = (name: Name, after: Position, most: number) =>
      call(client, name, after, most).catch(({ code, message, hint }) => ({ code, message, hint }))
    const some = { n: start.n, token: start.token }
    for (const after of [
      start, { ...start, ord: 0 }, { ...some, n: some.n - 1, ord: END, statement: 0, id: 0 }, { ...start, token: start.token + 1 },
      { ...start, n: start.n + 9 }, { ...start, n: -1 }, event as Position, endOf(event as Delivery),
    ]) // biome-ignore format: a list
      for (const most of [0, 1, 5, 1000])
        for (const name of ['read', 'pull'] as const)
          expect(await given(name, after, most)).toEqual(await given(`former_${name}`, after, most))
    expect((await call(client, 'pull', start, 1000)).length).toBe(5) // 4 MiB
  })

  it('refuse a read-only transaction, as on a standby, even if there is nothing to read', async () => {
    const client = await log.connect({ options: '-c default_transaction_read_only=on' })
    await expect(call(client, 'pull', await log.newest(), 1)).rejects.toMatchObject({ code: '25006' })
  })

  it('end a page at 4 MiB also after the newest batch, and go on from there', async () => {
    const start = await log.newest()
    await log.query(`insert into t select g, repeat('x', 900000) from generate_series(1, 7) g`)
    const client = await log.connect()
    const page = await call(client, 'pull', start, 1000)
    expect(page.length).toBe(5)
    const rest = await call(client, 'pull', page.at(-1) as Position, 1000)
    expect(rest.map(event => JSON.parse(event.new ?? '').id)).toEqual([6, 7])
    expect((await all(client, 'read', start, 2)).length).toBe(7)
  })

  it('call nothing of the session: no decoy in its search_path or among its temporary objects', async () => {
    await log.database.query(DECOYS)
    const client = await log.connect({ connectionString: log.database.adminUrl })
    await client.query(`do $$ declare name text; begin
      foreach name in array array['text', 'int4', 'int8', 'xid8', '_xid8', 'bool', 'float8', 'pg_snapshot', 'oid'] loop
        execute format('create domain pg_temp.%I as pg_catalog.%I check (false)', name, name);
      end loop; end $$;
      create type pg_temp.record as (nothing int);
      create temp table batch (n bigint); create temp table event (id bigint); create temp table history (horizon bigint);
      set search_path = decoy, pg_temp, pg_catalog; set plpgsql.variable_conflict = use_column`)
    const open = await log.connect()
    const start = await log.newest()
    // With an open transaction and without, so that both looks run.
    await open.query(`begin; insert into t values (1, 'open')`)
    await log.query(`insert into t values (2, 'a')`)
    const first = await call2(client, 'pull', start)
    expect(lines(first)).toEqual(['I {"id":2,"v":"a"}'])
    await open.query('commit')
    const second = await call2(client, 'pull', endOf(first[0] as Delivery))
    await log.query(`insert into t values (3, 'b'); delete from t`)
    const third = await call2(client, 'pull', endOf(second[0] as Delivery))
    expect(lines([...second, ...third])).toEqual([
      'I {"id":1,"v":"open"}', 'I {"id":3,"v":"b"}', 'D {"id":1,"v":"open"}', 'D {"id":2,"v":"a"}', 'D {"id":3,"v":"b"}',
    ]) // biome-ignore format: a list
    expect(await call2(client, 'read', start)).toEqual([...first, ...second, ...third])
    await expect(call2(client, 'pull', { ...start, token: start.token + 1 })).rejects.toMatchObject({
      code: 'LQ001',
    })
    await expect(call2(client, 'read', { ...start, n: -1 })).rejects.toMatchObject({ code: 'LQ002' })
  })
})

/** Every name is qualified, so that the caller's own SQL calls no decoy either. */
async function call2(client: pg.Client, name: 'pull' | 'read', after: Position): Promise<Delivery[]> {
  const numbers = [after.n, after.token, after.ord, after.statement, after.id].map(
    (value, i) => `${value}::pg_catalog.int${i === 2 || i === 3 ? 4 : 8}`,
  )
  const { rows } = await client.query<Delivery>(
    `select * from listenql.${name}(${numbers.join(', ')}, 1000::pg_catalog.int4)`,
  )
  return rows.map(row => ({ ...row, n: Number(row.n), token: Number(row.token), id: Number(row.id) }))
}

describe('the plans of pull and read', () => {
  it.for([
    'an empty log',
    'a small log that was never analysed',
    'a small log that was analysed',
    'a large log that was never analysed',
    'a large log, of one transaction and of many, that was analysed',
    'a log with long open transactions',
  ])('use the index, and have no step that is switched off: %s', async (kind, context) => {
    const client = await log.connect({ connectionString: log.database.adminUrl })
    if (!(await canExplain(client))) return context.skip(true, 'this Postgres has no auto_explain')
    const fill = async (transactions: number, rows: number) => {
      await log.query(`do $$ begin for i in 1..${transactions} loop
        perform listenql.publish('c', g::text) from generate_series(1, ${rows}) g; commit; end loop; end $$`)
    }
    if (kind.includes('small')) await fill(3, 2)
    if (kind.includes('large')) await fill(1, 20_000)
    if (kind.includes('large')) await fill(1000, 1)
    if (kind.includes('was analysed')) {
      await log.query('begin; select listenql.rotate($$1 day$$); commit')
      await log.query('analyze')
    }
    await log.fresh()
    const open = await log.connect()
    if (kind.includes('open'))
      await open.query(`begin; insert into t select g, 'x' from generate_series(1, 3000) g`)
    const plans = await explained(client, async () => {
      for (let at = await log.newest(), start = at, i = 0; i < 8; i++) {
        if (i % 2) await log.query(`insert into t values ($1, 'x')`, [10_000 + i])
        if (i === 5) await open.query('commit')
        const page = await call(client, 'pull', at, 5000)
        expect(page.length).toBe(i === 5 && kind.includes('open') ? 3001 : i % 2)
        const last = page.at(-1)
        if (last) at = endOf(last)
        await call(client, 'read', endOf(start), 3)
        if (last) await call(client, 'read', { ...at, ord: 1, statement: 0, id: 0 }, 3)
      }
    })
    expect(
      plans.filter(plan => plan.includes('event_order') || /event_0_/.test(plan)).length,
    ).toBeGreaterThan(8)
    for (const plan of plans) {
      expect(plan).not.toMatch(/Seq Scan|Bitmap|Hash|JIT|cost=\d{10}/)
      expect(plan).not.toMatch(/Sort Key: b\.n/) // that reads all batches for each page
      expect(plan).not.toMatch(/Sort {2}\(cost[^\n]*\n +Sort Key: [^\n]*statement/) // that reads all of a transaction for each page
    }
    expect(plans.filter(plan => plan.includes('max(v.id)')).every(plan => /Index Only Scan/.test(plan))).toBe(
      true,
    )
  })
})

/** Needs the module auto_explain. */
async function canExplain(client: pg.Client): Promise<boolean> {
  return client.query(`load 'auto_explain'`).then(
    () => true,
    () => false,
  )
}

/** The plans of the statements in functions of the log that run meanwhile. */
async function explained(client: pg.Client, work: () => Promise<void>): Promise<string[]> {
  const plans: string[] = []
  client.on('notice', ({ message }) => {
    if (message?.includes('plan:')) plans.push(message)
  })
  await client.query(`set auto_explain.log_min_duration = 0; set auto_explain.log_nested_statements = on; set client_min_messages = log;
    set auto_explain.log_analyze = on; set auto_explain.log_timing = off`)
  await work()
  return plans.filter(plan => plan.includes('listenql.') && !/from listenql\.(pull|read)\(/.test(plan))
}

describe('an upgrade from version 15', () => {
  it('keeps positions and the history, also of sessions that have called the former functions', async () => {
    const former = await createFormerLog(15)
    try {
      await former.query('create table t (id int primary key)')
      await former.watch('t')
      const [server, writer] = [await former.connect(), await former.connect()]
      const start = await former.newest()
      await former.query('insert into t values (1)')
      const before = await call(server, 'pull', start, 1)
      await writer.query('begin; insert into t values (2)')
      // Version 17 waits for transactions that have written.
      expect(await migrate(await former.connect(), { migrations: readMigrations().slice(0, 16) })).toEqual({
        from: 15,
        to: 16,
      })
      await former.query('insert into t values (3)')
      const after = await call(server, 'pull', endOf(before[0] as Delivery), 10)
      await writer.query('commit')
      const last = await call(server, 'pull', endOf(after[0] as Delivery), 10)
      expect(lines([...before, ...after, ...last])).toEqual(['I {"id":1}', 'I {"id":3}', 'I {"id":2}'])
      expect(await call(server, 'read', start, 10)).toEqual([...before, ...after, ...last])
    } finally {
      await former.close()
    }
  })
})

describe('an upgrade from version 17', () => {
  it('keeps positions between and within packed changes, of a session that has called the former functions', async () => {
    const former = await createFormerLog(17)
    try {
      await former.query('create table t (id int primary key)')
      await former.watch('t')
      const server = await former.connect()
      const start = await former.newest()
      for (const from of [1, 1001, 2001]) {
        await former.query('insert into t select generate_series($1::int, $2::int)', [from, from + 999])
        await former.query('select listenql.cut_batch()')
      }
      await former.query('delete from t where id = 5')
      const whole = await call(server, 'pull', start, 5000)
      expect(whole.length).toBe(3001)
      expect(await call(server, 'read', start, 5000)).toEqual(whole)
      expect(await migrate(await former.connect())).toEqual({ from: 17, to: readMigrations().length })
      for (const most of [1, 90, 1500, 5000]) {
        for (const at of [0, 1, 700, 999, 1000, 2500, 2999]) {
          const after = at === 0 ? start : (whole[at - 1] as Delivery)
          expect(await call(server, 'read', after, most)).toEqual(whole.slice(at, at + most))
        }
      }
      expect(await all(server, 'pull', start, 700)).toEqual(whole)
    } finally {
      await former.close()
    }
  })
})

it('a look that finds nothing draws no transaction id, so that its commit writes nothing', async () => {
  const client = await log.connect()
  await log.query(`insert into t values (1, 'x')`)
  const [event] = await call(client, 'pull', await log.newest(), 10)
  expect(event).toBeDefined()
  await client.query('begin')
  expect(await call(client, 'pull', endOf(event as Delivery), 10)).toEqual([])
  const { rows } = await client.query('select pg_current_xact_id_if_assigned() as xid')
  expect(rows).toEqual([{ xid: null }])
  await client.query('rollback')
})
