import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCommands } from '../stress/commands/run.js'
import { WORLDS } from '../stress/commands/world.js'
import { createLog, lines, type TestLog } from '../support/log.js'

/** Several operations on one table in one command: events have the order in which each row changed. */

let log: TestLog
let hasMerge: boolean
beforeAll(async () => {
  log = await createLog()
  hasMerge = Number((await log.query('show server_version_num'))[0]?.server_version_num) >= 150000
})
afterAll(() => log.close())

/** Runs each statement of a list on the same connection. */
async function run(...statements: string[]): Promise<string[]> {
  const client = await log.connect()
  for (const sql of statements) await client.query(sql)
  await client.end()
  return lines(await log.fresh())
}

async function tables(sql: string, ...watched: string[]): Promise<void> {
  await log.query(
    `drop schema if exists app cascade; create schema app; set search_path = app; ${sql}; reset search_path`,
  )
  for (const name of watched) await log.query('select listenql.watch($1::regclass)', [`app.${name}`])
  await log.refresh()
  await log.fresh()
}

describe('operations of one command', () => {
  it('log a row that is deleted and inserted again in a transaction with an xid as DELETE, then INSERT', async () => {
    await tables(
      `create table items (o int, l int, v text, primary key (o, l)); insert into items values (1, 1, 'old')`,
      'items',
    )
    const move = `with g as (delete from app.items where o = 1 returning l)
      insert into app.items select 1, l, 'new' from g`
    const expected = ['D {"o":1,"l":1,"v":"old"}', 'I {"o":1,"l":1,"v":"new"}']
    expect(await run('begin', 'select pg_current_xact_id()', move, 'commit')).toEqual(expected)
    await run(`update app.items set v = 'old'`)
    expect(await run(move), 'without an xid').toEqual(expected)
  })

  it('log DELETE before INSERT even if the DELETE is still running when the INSERT runs', async () => {
    await tables('create table t (id int primary key, v int); insert into t values (1, 1), (2, 2)', 't')
    const limited = `with g as (delete from app.t returning id) insert into app.t select id, 9 from g order by id limit 1`
    const first = `with g as (delete from app.t returning id)
      insert into app.t select * from (select 5, 5 union all select id, 7 from g) x limit 2`
    expect(await run(limited)).toEqual(['D {"id":1,"v":1}', 'D {"id":2,"v":2}', 'I {"id":1,"v":9}'])
    expect(await run(first)).toEqual(['D {"id":1,"v":9}', 'I {"id":5,"v":5}', 'I {"id":1,"v":7}'])
    expect(await run('begin', 'select pg_current_xact_id()', first.replace('5, 5', '6, 6').replace('7', '8'), 'commit')).toEqual([
      'D {"id":5,"v":5}', 'D {"id":1,"v":7}', 'I {"id":6,"v":6}', 'I {"id":5,"v":8}',
    ]) // biome-ignore format: one transaction at a glance
  })

  it('are logged in order for an INSERT of a CTE whose trigger before the statement deletes the key', async () => {
    await tables(
      `create table t (id int primary key, v int); insert into t values (1, 1), (2, 2);
       create function app.clear() returns trigger language plpgsql as $$ begin delete from app.t where id = 2; return null; end $$;
       create trigger clear before insert on t for each statement execute function app.clear()`,
      't',
    )
    const events = await run(
      ...['begin', 'select pg_current_xact_id()'],
      'with i as (insert into app.t values (2, 9)) delete from app.t where id = 1',
      'commit',
    )
    expect(events).toEqual(['D {"id":1,"v":1}', 'D {"id":2,"v":2}', 'I {"id":2,"v":9}'])
  })

  it('are logged in order for a key that an UPDATE frees for an INSERT, in a CTE, MERGE and upsert', async () => {
    await tables(
      'create table t (id int primary key, u int unique, v int); insert into t values (1, 1, 1)',
      't',
    )
    const begin = ['begin', 'select pg_current_xact_id()']
    expect(
      await run(
        ...begin,
        `with m as (update app.t set id = 2 returning *) insert into app.t select 1, 9, 9 from m`,
        'commit',
      ),
    ).toEqual(['D {"id":1,"u":1,"v":1}', 'I {"id":2,"u":1,"v":1}', 'I {"id":1,"u":9,"v":9}'])
    await run('truncate app.t', 'insert into app.t values (1, 1, 1)')
    const upserted = await run(
      ...begin,
      `insert into app.t values (7, 1, 7), (1, 8, 8) on conflict (u) do update set id = excluded.id, v = excluded.v`,
      'commit',
    )
    expect(upserted).toEqual(['D {"id":1,"u":1,"v":1}', 'I {"id":7,"u":1,"v":7}', 'I {"id":1,"u":8,"v":8}'])
    if (!hasMerge) return
    await run('truncate app.t', 'insert into app.t values (1, 1, 1)')
    const merged = await run(
      ...begin,
      `merge into app.t using (values (1, 1), (1, 5)) s(id, u) on t.u = s.u
        when matched then update set id = 3 when not matched then insert values (1, 5, 5)`,
      'commit',
    )
    expect(merged).toEqual(['D {"id":1,"u":1,"v":1}', 'I {"id":3,"u":1,"v":1}', 'I {"id":1,"u":5,"v":5}'])
  })
})

describe('writers inside of writers', () => {
  it('log one event if a function deletes a row that the statement inserts again', async () => {
    await tables(
      `create table t (id int primary key, v int); insert into t values (1, 1), (2, 2);
       create function gone(x int) returns int language sql volatile as 'delete from app.t where id = x; select x'`,
      't',
    )
    expect(
      await run('begin', 'select pg_current_xact_id()', 'insert into app.t select app.gone(1), 5', 'commit'),
    ).toEqual(['U {"id":1,"v":1} -> {"id":1,"v":5}'])
    // The opposite: the function deletes a row that the statement has inserted.
    const changes = await run(
      'begin',
      'select pg_current_xact_id()',
      'insert into app.t select x, app.gone(x - 1) from generate_series(3, 4) x',
      'commit',
    )
    expect(changes.sort()).toEqual(['D {"id":2,"v":2}', 'I {"id":4,"v":3}'])
  })

  it('log the final row if a trigger replaces the row, and both events if a trigger empties a queue', async () => {
    await tables(
      `create table t (id int primary key, v int); insert into t values (1, 1);
       create function replace() returns trigger language plpgsql as $$ begin delete from app.t where id = new.id; return new; end $$;
       create trigger replace before insert on t for each row execute function replace();
       create table q (id int primary key);
       create function take() returns trigger language plpgsql as $$ begin delete from app.q where id = new.id; return null; end $$;
       create trigger take after insert on q for each row execute function take()`,
      't',
      'q',
    )
    const inside = (sql: string) => run('begin', 'select pg_current_xact_id()', sql, 'commit')
    expect(await run('insert into app.t values (1, 2)')).toEqual(['D {"id":1,"v":1}', 'I {"id":1,"v":2}'])
    expect(await inside('insert into app.t values (1, 3)')).toEqual(['U {"id":1,"v":2} -> {"id":1,"v":3}'])
    expect(await inside('insert into app.t values (1, 3)'), 'the row is as it was').toEqual([])
    expect(await run('insert into app.q values (1)')).toEqual(['I {"id":1}', 'D {"id":1}'])
  })

  it('log one event if cascades reach a row twice, or reach a row that the same command has written', async () => {
    await tables(
      `create table a (id int primary key); create table b (id int primary key, a int references a on delete cascade);
       create table c (id int primary key, a int references a on delete set null, b int references b on delete cascade, v int);
       create table n (id int primary key, up int references n on delete cascade on update cascade);
       insert into a values (1), (2); insert into b values (1, 1), (2, 2);
       insert into c values (1, 1, 1, 0), (2, 1, 2, 0), (3, 2, 1, 0); insert into n values (1, null), (2, 1)`,
      'c',
      'n',
    )
    const changes = await run('delete from app.a where id = 1')
    expect(changes.sort()).toEqual([
      'D {"id":1,"a":1,"b":1,"v":0}',
      'D {"id":3,"a":2,"b":1,"v":0}',
      'U {"id":2,"a":1,"b":2,"v":0} -> {"id":2,"a":null,"b":2,"v":0}',
    ])
    await run('insert into app.a values (3)', 'update app.c set a = 3')
    expect(await run('with x as (delete from app.a where id = 3) update app.c set v = 1')).toEqual([
      'U {"id":2,"a":3,"b":2,"v":0} -> {"id":2,"a":3,"b":2,"v":1}',
      'U {"id":2,"a":3,"b":2,"v":1} -> {"id":2,"a":null,"b":2,"v":1}',
    ])
    // The row is inserted, then deleted at once together with the row that it refers to.
    expect(
      await run(
        'with x as (delete from app.n where id = 1 returning id) insert into app.n select 3, id from x',
      ),
    ).toEqual(['D {"id":1,"up":null}', 'D {"id":2,"up":1}'])
  })
})

describe('MERGE on a partitioned table', () => {
  it('delivers the rows that it moves and the new rows of what it updates', async context => {
    if (!hasMerge) return context.skip(true, 'Postgres has no MERGE before 15')
    await tables(
      `create table p (id int, part int, v int, primary key (id, part)) partition by list (part);
       create table p1 partition of p for values in (1); create table p2 partition of p for values in (2);
       insert into p values (1, 1, 1), (2, 1, 2), (3, 2, 3)`,
      'p',
    )
    expect(
      await run(
        'merge into app.p using (values (1)) s(id) on p.id = s.id when matched then update set part = 2',
      ),
    ).toEqual(['D {"id":1,"part":1,"v":1}', 'I {"id":1,"part":2,"v":1}'])
    const all = `merge into app.p using (values (2), (3), (9)) s(id) on p.id = s.id when matched and p.id = 3 then delete
      when matched then update set v = 20 when not matched then insert values (s.id, 1, 9)`
    const expected = [
      'D {"id":3,"part":2,"v":3}',
      'U {"id":2,"part":1,"v":2} -> {"id":2,"part":1,"v":20}',
      'I {"id":9,"part":1,"v":9}',
    ]
    expect(await run(all)).toEqual(expected)
    await run('delete from app.p', 'insert into app.p values (1, 1, 1), (2, 1, 2), (3, 2, 3)')
    expect(
      await run(`prepare m as ${all}`, 'begin', 'select 1 from app.p for update', 'execute m', 'commit'),
    ).toEqual(expected)
    await run('delete from app.p', 'insert into app.p values (1, 1, 1), (2, 1, 2), (3, 2, 3)')
    await run(`create function app.m() returns void language sql as $$ ${all} $$`)
    expect(await run('select app.m()')).toEqual(expected)
  })

  it('logs an UPDATE that moves rows once, even if that UPDATE is indistinguishable from a MERGE', async () => {
    await tables(
      `create table p (id int, part int, primary key (id, part)) partition by list (part);
       create table p1 partition of p for values in (1); create table p2 partition of p for values in (2);
       insert into p values (1, 1), (2, 1);
       create function app.move(x int) returns void language sql as $$ /* merge */ update app.p set part = 3 - part where id = x $$`,
      'p',
    )
    const moved = ['D {"id":1,"part":1}', 'I {"id":1,"part":2}']
    expect((await run('select app.move(1)')).sort()).toEqual(moved)
    await run('update app.p set part = 1')
    expect((await run('/* merge */ update app.p set part = 2 where id = 1')).sort()).toEqual(moved)
  })

  it('has a row trigger on partitions that are added later; an unwatched table has none', async () => {
    await tables(
      'create table p (id int, part int, primary key (id, part)) partition by list (part); create table p1 partition of p for values in (1)',
      'p',
    )
    await log.query('create table app.p2 partition of app.p for values in (2)')
    expect((await log.refresh()).map(row => row.change)).toEqual(['generation'])
    expect(await log.refresh()).toEqual([])
    await log.query(`select listenql.unwatch('app.p')`)
    expect(
      await log.query(
        `select tgname from pg_trigger where tgrelid = any (array['app.p', 'app.p1', 'app.p2']::regclass[])`,
      ),
    ).toEqual([])
  })
})

describe('random commands', () => {
  it('a first command that is not logged in the usual way has cascades and several operations', async () => {
    const own = await createLog()
    try {
      const client = await own.connect()
      const outcome = await runCommands({
        world: 'family',
        seed: 930_247,
        transactions: 150,
        client,
        packed: true,
      })
      expect(outcome.problems).toEqual([])
    } finally {
      await own.close()
    }
  })

  it.each(Object.keys(WORLDS))(
    '%s: after each statement the events add up to the contents of the tables',
    async world => {
      for (const [seed, packed] of [
        [1, false],
        [2, false],
        [3, true],
        [4, true],
      ] as const) {
        const own = await createLog()
        try {
          const client = await own.connect()
          const outcome = await runCommands({ world, seed, transactions: 60, client, packed })
          expect(outcome.problems).toEqual([])
          expect(outcome.events).toBeGreaterThan(20)
        } finally {
          await own.close()
        }
      }
    },
  )
})
