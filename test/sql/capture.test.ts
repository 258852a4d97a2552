import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createLog, lines, type TestLog } from '../support/log.js'

let log: TestLog
let version: number
beforeAll(async () => {
  log = await createLog()
  version = Number((await log.query('show server_version_num'))[0]?.server_version_num)
})
afterAll(() => log.close())

const run = async (sql: string) => {
  await log.query(sql)
  return lines(await log.fresh())
}

/** Creates a watched table with a unique name and discards the events logged so far. */
async function table(definition: string, name = 't'): Promise<void> {
  await log.query(`drop table if exists ${name} cascade; create table ${name} (${definition})`)
  await log.watch(name)
  await log.fresh()
}

describe('the log of a watched table', () => {
  it('holds rows as JSON with every digit as written', async () => {
    await table('id bigint primary key, price numeric(10,2), name text')
    expect(await run(`insert into t values (9007199254740993, 1.50, 'Ann')`)).toEqual([
      'I {"id":9007199254740993,"price":1.50,"name":"Ann"}',
    ])
    expect(await run('update t set price = price')).toEqual([
      'U {"id":9007199254740993,"price":1.50,"name":"Ann"} -> {"id":9007199254740993,"price":1.50,"name":"Ann"}',
    ])
    expect(await run('delete from t')).toEqual(['D {"id":9007199254740993,"price":1.50,"name":"Ann"}'])
    expect(await run('truncate t')).toEqual(['T'])
  })

  it('holds nothing for a statement that touches no row, which draws no transaction id either', async () => {
    await table('id int primary key')
    const client = await log.connect()
    await client.query('begin')
    await client.query('update t set id = 1; delete from t; insert into t select 1 where false')
    const { rows } = await client.query('select pg_current_xact_id_if_assigned() as xid')
    await client.query('commit')
    expect(rows).toEqual([{ xid: null }])
    expect(await log.fresh()).toEqual([])
  })

  it('pairs rows by primary key: a key change is a delete and an insert, a swap is two updates', async () => {
    await table('id int primary key deferrable initially immediate, v text')
    await log.query('alter table t drop constraint t_pkey, add primary key (id)')
    await log.refresh()
    await run(`insert into t values (1, 'a'), (2, 'b')`)
    const moved = await run('update t set id = id + 10')
    expect(moved.sort()).toEqual([
      'D {"id":1,"v":"a"}',
      'D {"id":2,"v":"b"}',
      'I {"id":11,"v":"a"}',
      'I {"id":12,"v":"b"}',
    ])
    await run('truncate t')
    await run(`insert into t values (1, 'a'), (2, 'b'), (3, 'c')`)
    const shifted = await run(
      `with gone as (delete from t where id = 3) update t set v = case id when 1 then 'b' else 'a' end where id < 3`,
    )
    expect(shifted.sort()).toEqual([
      'D {"id":3,"v":"c"}',
      'U {"id":1,"v":"a"} -> {"id":1,"v":"b"}',
      'U {"id":2,"v":"b"} -> {"id":2,"v":"a"}',
    ])
  })

  it('pairs rows by several key columns whose texts contain any character', async () => {
    await table('a text, b text, v int, primary key (a, b)')
    await run(`insert into t values ('x,', 'y', 1), ('x', ',y', 2), ('"', '\\', 3)`)
    expect((await run('update t set v = v + 10')).sort()).toEqual([
      'U {"a":"\\"","b":"\\\\","v":3} -> {"a":"\\"","b":"\\\\","v":13}',
      'U {"a":"x","b":",y","v":2} -> {"a":"x","b":",y","v":12}',
      'U {"a":"x,","b":"y","v":1} -> {"a":"x,","b":"y","v":11}',
    ])
  })

  it('pairs rows by position if the table has no primary key', async () => {
    await table('v int')
    await run('insert into t values (1), (1), (2)')
    expect(await run('update t set v = v + 1')).toEqual([
      'U {"v":1} -> {"v":2}',
      'U {"v":1} -> {"v":2}',
      'U {"v":2} -> {"v":3}',
    ])
  })

  it('holds what INSERT … ON CONFLICT DO UPDATE inserted and what it updated', async () => {
    await table('id int primary key, v text')
    await run(`insert into t values (1, 'a')`)
    const both = await run(
      `insert into t values (1, 'b'), (2, 'c') on conflict (id) do update set v = excluded.v`,
    )
    expect(both.sort()).toEqual(['I {"id":2,"v":"c"}', 'U {"id":1,"v":"a"} -> {"id":1,"v":"b"}'])
    expect(await run(`insert into t values (1, 'z') on conflict do nothing`)).toEqual([])
  })

  it('holds each row of a MERGE under its operation', async context => {
    if (version < 150000) return context.skip(true, 'Postgres has no MERGE before 15')
    await table('id int primary key, v text')
    await run(`insert into t values (1, 'a'), (2, 'b')`)
    const merged =
      await run(`merge into t using (values (1, 'A'), (2, null), (3, 'C')) s(id, v) on s.id = t.id
      when matched and s.v is null then delete when matched then update set v = s.v
      when not matched then insert values (s.id, s.v)`)
    expect(merged.sort()).toEqual([
      'D {"id":2,"v":"b"}',
      'I {"id":3,"v":"C"}',
      'U {"id":1,"v":"a"} -> {"id":1,"v":"A"}',
    ])
  })

  it('holds each row of a COPY', async () => {
    await table('id int primary key, v text')
    await log.database.query(String.raw`copy t from program 'printf "1\ta\n2\tb\n"'`)
    expect(lines(await log.fresh())).toEqual(['I {"id":1,"v":"a"}', 'I {"id":2,"v":"b"}'])
  })

  it('holds each row of data-modifying CTEs once, under its table and operation', async () => {
    await table('id int primary key, v int')
    await table('id int primary key', 'u')
    const changes =
      await run(`with a as (insert into t values (1, 1) returning id), b as (insert into u select id from a returning id)
      insert into t select id + 1, 2 from b`)
    expect(changes.sort()).toEqual(['I {"id":1,"v":1}', 'I {"id":1}', 'I {"id":2,"v":2}'])
  })

  it('holds nothing of savepoints that were rolled back, and keeps the order of the remaining events', async () => {
    await table('id int primary key, v int')
    const client = await log.connect()
    for (const sql of [
      'begin', 'insert into t values (1, 0)', 'savepoint a', 'update t set v = 1', 'savepoint b', 'delete from t',
      'rollback to b', 'update t set v = 2', 'rollback to a', 'update t set v = 3', 'release a', 'update t set v = 4', 'commit',
      'begin', 'delete from t', 'rollback',
    ]) await client.query(sql) // biome-ignore format: one transaction at a glance
    const events = await log.fresh()
    expect(lines(events)).toEqual([
      'I {"id":1,"v":0}',
      'U {"id":1,"v":0} -> {"id":1,"v":3}',
      'U {"id":1,"v":3} -> {"id":1,"v":4}',
    ])
    expect(new Set(events.map(event => event.xid)).size).toBe(1)
  })
})

describe('the order of nested statements', () => {
  it('places a row trigger that updates its own table after the statement that fired it', async () => {
    await table('id int primary key, v int')
    await log.query(`create or replace function touch() returns trigger language plpgsql as $$
      begin update t set v = new.v + 1 where id = new.id and new.v < 3; return null; end $$;
      create trigger touch after insert or update on t for each row execute function touch()`)
    expect(await run('insert into t values (1, 0), (2, 2)')).toEqual([
      'I {"id":1,"v":0}',
      'I {"id":2,"v":2}',
      'U {"id":1,"v":0} -> {"id":1,"v":1}',
      'U {"id":1,"v":1} -> {"id":1,"v":2}',
      'U {"id":1,"v":2} -> {"id":1,"v":3}',
      'U {"id":2,"v":2} -> {"id":2,"v":3}',
    ])
    // The same statement two levels deep on the same table has one number per level.
    expect(await run('update t set v = 1 where id = 1')).toEqual([
      'U {"id":1,"v":3} -> {"id":1,"v":1}',
      'U {"id":1,"v":1} -> {"id":1,"v":2}',
      'U {"id":1,"v":2} -> {"id":1,"v":3}',
    ])
  })

  it('is right in a transaction that has written before, and after a savepoint was rolled back', async () => {
    await table('id int primary key, v int')
    await log.query(`create or replace function touch() returns trigger language plpgsql as $$
      begin update t set v = new.v + 1 where id = new.id and new.v < 2; return null; end $$;
      create trigger touch after insert or update on t for each row execute function touch()`)
    const client = await log.connect()
    for (const sql of ['begin', 'savepoint a', 'insert into t values (1, 0)', 'rollback to a',
      'insert into t values (2, 0)', 'insert into t values (3, 1)', 'commit']) await client.query(sql) // biome-ignore format: one transaction
    expect(lines(await log.fresh())).toEqual([
      'I {"id":2,"v":0}',
      'U {"id":2,"v":0} -> {"id":2,"v":1}',
      'U {"id":2,"v":1} -> {"id":2,"v":2}',
      'I {"id":3,"v":1}',
      'U {"id":3,"v":1} -> {"id":3,"v":2}',
    ])
  })

  it('is right if the trigger catches an error of its own', async () => {
    await table('id int primary key, v int')
    await log.query(`create or replace function try() returns trigger language plpgsql as $$
      begin
        begin
          update t set v = 7 where id = new.id;
          raise exception 'no';
        exception when others then update t set v = 8 where id = new.id;
        end;
        return null;
      end $$;
      create trigger try after insert on t for each row execute function try()`)
    expect(await run('insert into t values (1, 0)')).toEqual([
      'I {"id":1,"v":0}',
      'U {"id":1,"v":0} -> {"id":1,"v":8}',
    ])
  })

  it('places what a trigger publishes and writes to other tables after the cause', async () => {
    await table('id int primary key')
    await table('id int primary key', 'u')
    await log.query(`create or replace function also() returns trigger language plpgsql security definer as $$
      begin perform listenql.publish('c', 'p' || new.id); insert into u values (new.id); return null; end $$;
      create trigger also after insert on t for each row execute function also()`)
    expect(await run('insert into t values (1), (2)')).toEqual([
      'I {"id":1}', 'I {"id":2}', 'N p1', 'I {"id":1}', 'N p2', 'I {"id":2}',
    ]) // biome-ignore format: one transaction
    const client = await log.connect()
    await client.query(
      `begin; select listenql.publish('c', 'first'); insert into t values (3); select listenql.publish('c', 'last'); commit`,
    )
    expect(lines(await log.fresh())).toEqual(['N first', 'I {"id":3}', 'N p3', 'I {"id":3}', 'N last'])
  })

  it('places what a BEFORE STATEMENT trigger writes first', async () => {
    await table('id int primary key, v int')
    await log.query(`create or replace function clean() returns trigger language plpgsql as $$
      begin delete from t; return null; end $$;
      create trigger zz_clean before insert on t for each statement execute function clean()`)
    await run('insert into t values (1, 1)')
    expect(await run('insert into t values (1, 2)')).toEqual(['D {"id":1,"v":1}', 'I {"id":1,"v":2}'])
  })

  it('is right for a function that an UPDATE calls and that updates the rows just written', async () => {
    await table('id int primary key, v int')
    await run('insert into t values (1, 0), (2, 0)')
    await log.query(`create or replace function meddle(k int) returns int language plpgsql volatile as $$
      begin if k = 2 then update t set v = 100 where id = 1; end if; return 5; end $$`)
    const changes = await run('update t set v = meddle(id)')
    const ofOne = changes.filter(change => change.includes('"id":1'))
    expect(ofOne).toEqual(['U {"id":1,"v":0} -> {"id":1,"v":5}', 'U {"id":1,"v":5} -> {"id":1,"v":100}'])
  })

  it('is right for cascades of foreign keys to another table and to the same table', async () => {
    await table('id int primary key, up int references t on delete cascade on update cascade')
    await table('id int primary key, t int references t on delete cascade on update cascade', 'u')
    await run('insert into t values (1, null), (2, 1), (3, 2); insert into u values (10, 3), (11, 1)')
    expect((await run('update t set id = 30 where id = 3')).sort()).toEqual([
      'D {"id":3,"up":2}',
      'I {"id":30,"up":2}',
      'U {"id":10,"t":3} -> {"id":10,"t":30}',
    ])
    const events = await run('delete from t where id = 1')
    expect(events.sort()).toEqual([
      'D {"id":1,"up":null}', 'D {"id":10,"t":30}', 'D {"id":11,"t":1}', 'D {"id":2,"up":1}', 'D {"id":30,"up":2}',
    ]) // biome-ignore format: short
    // The stack of statement numbers is empty again, so the next transaction is in order.
    const client = await log.connect()
    await client.query(
      'begin; insert into t values (7, null); delete from t where id = 7; insert into t values (7, null); commit',
    )
    expect(lines(await log.fresh())).toEqual([
      'I {"id":7,"up":null}',
      'D {"id":7,"up":null}',
      'I {"id":7,"up":null}',
    ])
  })
})

describe('a bulk statement', () => {
  it('of 100,000 rows is read in pages, with each row once and in order', async () => {
    await table('id int primary key, v text')
    const client = await log.connect()
    await client.query(`insert into t values (0, 'warm')`) // a plan for one row is cached by now
    await client.query(`insert into t select g, 'x' from generate_series(1, 100000) g`)
    const events = await log.fresh(2000)
    expect(events.length).toBe(100_001)
    expect(events.map(event => JSON.parse(event.new ?? '{}').id)).toEqual(events.map((_, index) => index))
  }, 120_000)

  it('pairs the old and new rows of an UPDATE by a hash or merge join, never by a nested loop', async () => {
    await table('id int primary key, v int')
    await log.query('insert into t select g, 0 from generate_series(1, 20000) g')
    const client = await log.connect()
    await client.query(`update t set v = 1 where id = 1`)
    const [source] = await log.query(
      `select prosrc from pg_proc where proname = 'capture_' || 't'::regclass::oid`,
    )
    expect(String(source?.prosrc)).toContain('full join') // a nested loop would not finish
    await client.query('update t set v = 2')
    const events = (await log.fresh(5000)).filter(event => event.operation === 'U')
    expect(events.length).toBe(20_001)
  }, 120_000)

  it('is planned without JIT, which stays off until the transaction ends, so that later single rows are not compiled', async () => {
    await table('id int primary key, v text')
    const client = await log.connect({ options: '-c jit=on' })
    const jit = async () => (await client.query('show jit')).rows[0]?.jit
    await client.query(`begin; insert into t select g, 'x' from generate_series(1, 1000) g`)
    expect(await jit()).toBe('off')
    await client.query('commit; begin; insert into t values (-1)')
    expect(await jit(), 'a single row has a plan of its own').toBe('off')
    await client.query('commit; begin; insert into t values (0)')
    expect(await jit()).toBe('on')
    await client.query('commit')
    expect((await log.fresh()).length).toBe(1002)
  })

  it('is read in pages that are limited in bytes', async () => {
    await table('id int primary key, v text')
    await log.query(`insert into t select g, repeat('x', 1500000) from generate_series(1, 8) g`)
    const start = await log.newest()
    const pages: number[] = []
    for (let at = start; ; ) {
      const page = await log.pull(at, 1000)
      const last = page.at(-1)
      if (!last) break
      pages.push(page.length)
      at = last
    }
    expect(pages).toEqual([3, 3, 2])
    await log.fresh()
  })
})
