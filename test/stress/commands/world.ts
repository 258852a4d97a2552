import type { Random } from '../random.js'

/** Tables, triggers and functions for random commands. All tables have the columns k, g and v. */
export interface World {
  readonly name: string
  /** Creates everything; no table is watched yet. */
  readonly setup: string
  /** The tables to watch, with the columns of their primary keys. */
  readonly tables: Readonly<Record<string, readonly string[]>>
  /** The relations that commands may write to: the tables and their partitions. */
  readonly targets: readonly Target[]
  /** Statements for this world only, in addition to the common ones. */
  readonly extra: ReadonlyArray<(random: Random) => string>
}

export interface Target {
  readonly table: string
  readonly key: readonly string[]
  /** Columns that an UPDATE may change. */
  readonly columns: readonly string[]
}

const target = (table: string, key: readonly string[], columns: readonly string[] = ['k', 'v']): Target => ({
  table,
  key,
  columns,
})

/** Functions that write to a table, called from within statements. Names: del, ins, upd, mov, put; `_sql` in language SQL. */
function writers(table: string, conflict: string): string {
  const bodies: readonly (readonly [string, string])[] = [
    ['del', `delete from ${table} where k = x`],
    ['ins', `insert into ${table} (k, g, v) values (x, 1, 3) on conflict do nothing`],
    ['upd', `update ${table} set v = v + 1 where k = x`],
    [
      'put',
      `insert into ${table} (k, g, v) values (x, 1, x) on conflict (${conflict}) do update set v = excluded.v`,
    ],
    [
      'swp',
      `with d as (delete from ${table} where k = x returning *) insert into ${table} (k, g, v) select k, g, v from d`,
    ],
  ]
  return bodies
    .flatMap(([name, body]) => [
      `create function ${name}(x int) returns int language plpgsql as $f$ begin ${body}; return x; end $f$`,
      `create function ${name}_sql(x int) returns int language sql volatile as $f$ ${body}; select x $f$`,
    ])
    .join(';\n')
}

/** A row trigger that writes to its own table, for some rows only and at most two levels deep. */
function trigger(
  name: string,
  table: string,
  when: 'before' | 'after',
  event: 'insert' | 'update' | 'delete',
  condition: string,
  body: string,
): string {
  const row = event === 'delete' ? 'old' : 'new'
  return `create function ${name}() returns trigger language plpgsql as $f$
    begin if pg_trigger_depth() < 3 and ${condition.replaceAll('ROW', row)} then ${body.replaceAll('ROW', row)}; end if; return ${row}; end $f$;
  create trigger ${name} ${when} ${event} on ${table} for each row execute function ${name}()`
}

/** Each of these triggers exists in every other world. */
function someTriggers(random: Random, table: string): string[] {
  const all = [
    trigger('tr_replace', table, 'before', 'insert', 'ROW.v % 3 = 0', `delete from ${table} where k = ROW.k`),
    trigger(
      'tr_before',
      table,
      'before',
      'update',
      'ROW.v % 5 = 1',
      `update ${table} set v = v + 5 where k = ROW.k + 1`,
    ),
    trigger(
      'tr_before_ins',
      table,
      'before',
      'insert',
      'ROW.v % 4 = 1',
      `insert into ${table} (k, g, v) values (ROW.k + 1, 1, 2) on conflict do nothing`,
    ),
    trigger(
      'tr_touch',
      table,
      'after',
      'insert',
      'ROW.v % 4 = 2',
      `update ${table} set v = v + 1 where k = ROW.k`,
    ),
    trigger('tr_queue', table, 'after', 'insert', 'ROW.v % 7 = 5', `delete from ${table} where k = ROW.k`),
    trigger(
      'tr_back',
      table,
      'after',
      'delete',
      'ROW.v % 4 = 3',
      `insert into ${table} (k, g, v) values (ROW.k, ROW.g, 4) on conflict do nothing`,
    ),
    trigger(
      'tr_again',
      table,
      'after',
      'delete',
      'ROW.v % 6 = 4',
      `insert into ${table} (k, g, v) values (ROW.k, ROW.g, ROW.v) on conflict do nothing`,
    ),
    trigger(
      'tr_follow',
      table,
      'after',
      'update',
      'ROW.v % 5 = 2',
      `delete from ${table} where k = ROW.k + 1`,
    ),
    `create function tr_statement() returns trigger language plpgsql as $f$
      begin if pg_trigger_depth() < 2 then update ${table} set v = v + 2 where k = 2; end if; return null; end $f$;
    create trigger tr_statement after insert or delete on ${table} for each statement execute function tr_statement()`,
    `create function tr_first() returns trigger language plpgsql as $f$
      begin if pg_trigger_depth() < 2 then delete from ${table} where k = 3; end if; return null; end $f$;
    create trigger ${random.chance(0.5) ? '"~z_first"' : 'tr_first'} before insert on ${table} for each statement execute function tr_first()`,
  ]
  const share = random.pick([0, 0.2, 0.5])
  return all.filter(() => random.chance(share))
}

function plain(random: Random): World {
  return {
    name: 'plain',
    setup: [
      'create table t (k int primary key, g int, v int, u int unique)',
      writers('t', 'k'),
      ...someTriggers(random, 't'),
    ].join(';\n'),
    tables: { t: ['k'] },
    targets: [target('t', ['k'], ['k', 'v', 'g', 'v'])],
    extra: [
      r =>
        `insert into t (k, g, v, u) values (${r.int(1, 6)}, 1, ${r.int(0, 9)}, ${r.int(1, 3)}), (${r.int(1, 6)}, 1, ${r.int(0, 9)}, ${r.int(1, 3)})
          on conflict (u) do update set k = excluded.k, v = excluded.v`,
      r => `update t set u = ${r.int(1, 4)} where k = ${r.int(1, 6)}`,
    ],
  }
}

function pair(random: Random): World {
  return {
    name: 'pair',
    setup: [
      'create table t (k int, v int, g int, primary key (g, k))',
      writers('t', 'g, k'),
      ...someTriggers(random, 't'),
    ].join(';\n'),
    tables: { t: ['g', 'k'] },
    targets: [target('t', ['g', 'k'], ['k', 'g', 'v', 'v'])],
    extra: [],
  }
}

function parted(random: Random): World {
  return {
    name: 'partitions',
    setup: [
      'create table t (k int, g int, v int, primary key (k, g)) partition by list (g)',
      'create table t1 partition of t for values in (1)',
      'create table t2 (v int, g int not null, k int not null)',
      'alter table t attach partition t2 for values in (2)',
      'create table t3 partition of t for values in (3, 4) partition by list (g)',
      'create table t33 partition of t3 for values in (3)',
      'create table t34 partition of t3 for values in (4)',
      writers('t', 'k, g'),
      ...someTriggers(random, 't').filter(sql => !sql.includes('before') || random.chance(0.5)),
    ].join(';\n'),
    tables: { t: ['k', 'g'] },
    targets: [
      target('t', ['k', 'g'], ['k', 'g', 'g', 'v']),
      target('t', ['k', 'g'], ['g', 'g', 'v']),
      target('t1', ['k', 'g'], ['k', 'v']),
      target('t3', ['k', 'g'], ['k', 'g', 'v']),
    ],
    extra: [],
  }
}

/** Foreign keys that cascade: a diamond, a table that refers to itself, and keys that change with the referenced row. */
function family(random: Random): World {
  const action = () => random.pick(['cascade', 'cascade', 'set null', 'set default', 'no action'])
  const up = () => random.pick(['cascade', 'set null', 'no action'])
  return {
    name: 'foreign keys',
    setup: [
      'create table a (k int primary key, g int, v int)',
      `create table b (k int primary key, g int references a on delete ${action()} on update ${up()}, v int)`,
      `create table c (k int primary key, g int references a on delete ${action()} on update ${up()},
         v int, h int references b on delete ${action()} on update ${up()}, p int references c on delete ${action()} on update ${up()}
         ${random.chance(0.3) ? 'deferrable initially deferred' : ''})`,
      writers('c', 'k'),
      ...someTriggers(random, 'c').filter(() => random.chance(0.3)),
    ].join(';\n'),
    tables: random.chance(0.7) ? { a: ['k'], b: ['k'], c: ['k'] } : { c: ['k'] },
    targets: [
      target('a', ['k'], ['k', 'v']),
      target('b', ['k'], ['k', 'g', 'v']),
      target('c', ['k'], ['k', 'g', 'h', 'p', 'v']),
      target('c', ['k'], ['k', 'g', 'h', 'p', 'v']),
    ],
    extra: [
      r =>
        `insert into a (k, g, v) select i, i, i from generate_series(1, ${r.int(1, 6)}) i on conflict do nothing`,
      r =>
        `insert into b (k, g, v) select i, a.k, i from generate_series(1, ${r.int(1, 6)}) i, (select min(k) as k from a) a on conflict do nothing`,
      r => `insert into c (k, g, v, h, p) select i, (select max(k) from a), i, (select max(k) from b), case when i > 1 then i - 1 end
          from generate_series(1, ${r.int(1, 6)}) i on conflict do nothing`,
      r => `with x as (delete from a where k = ${r.int(1, 6)}), y as (delete from b where k = ${r.int(1, 6)} returning *)
          update c set v = v + 1 where k <= ${r.int(1, 6)}`,
      r =>
        `with x as (delete from a where k = ${r.int(1, 6)}) insert into c (k, g, v, p) values (${r.int(1, 6)}, null, 1, ${r.int(1, 6)})`,
      r =>
        `with x as (delete from c where k = ${r.int(1, 3)} returning *) insert into c (k, g, v, p) select ${r.pick(['k', 'k + 1', '5'])}, g, v, ${r.pick(['null', 'p', 'k', String(r.int(1, 6))])} from x`,
      r =>
        `with x as (delete from b where k = ${r.int(1, 6)}) update c set ${r.pick(['v = v + 1', 'k = k + 1', 'p = null'])} where k = ${r.int(1, 6)}`,
      r =>
        `with x as (update a set k = k + 1 where k = ${r.int(1, 6)}) update c set v = 7 where g = ${r.int(1, 6)}`,
      r => `update c set k = k + ${r.pick([1, 10, -10])} where k ${r.pick(['=', '<', '>'])} ${r.int(1, 6)}`,
      r => `delete from a where k = ${r.int(1, 6)}`,
    ],
  }
}

/** Foreign keys between a partitioned table and plain ones, in both directions. */
function mixed(random: Random): World {
  const action = () => random.pick(['cascade', 'cascade', 'set null', 'no action'])
  const truncate = (r: Random) => {
    // Not of partitions: those end the history.
    const tables = r.shuffle(['a', 'p', 'c', 'd'])
    return `truncate ${tables.slice(0, r.int(1, 3)).join(', ')} cascade`
  }
  const all = { a: ['k'], p: ['k', 'g'], c: ['k'], d: ['k'] }
  return {
    name: 'partitions with foreign keys',
    setup: [
      'create table a (k int primary key, g int, v int)',
      `create table p (k int, g int, v int, h int references a on delete ${action()} on update ${action()}, primary key (k, g)) partition by list (g)`,
      'create table p1 partition of p for values in (1)',
      'create table p2 partition of p for values in (2, 3) partition by list (g)',
      'create table p22 partition of p2 for values in (2)',
      'create table p23 partition of p2 for values in (3)',
      'create table p0 partition of p default',
      `create table c (k int primary key, g int, v int, h int, foreign key (h, g) references p (k, g) on delete ${action()} on update ${action()}
         ${random.chance(0.3) ? 'deferrable initially deferred' : ''})`,
      `create table d (k int primary key references a on delete ${random.pick(['cascade', 'no action'])} on update cascade, g int, v int)`,
      ...(random.chance(0.5)
        ? [
            `alter table a add h int; alter table a add foreign key (h, g) references p (k, g) on delete ${action()}`,
          ]
        : []),
      writers('c', 'k'),
      ...someTriggers(random, 'c').filter(() => random.chance(0.3)),
    ].join(';\n'),
    tables: random.chance(0.7) ? all : { p: all.p, c: all.c },
    targets: [
      target('a', ['k'], ['k', 'v']),
      target('p', ['k', 'g'], ['k', 'g', 'g', 'h', 'v']),
      target('c', ['k'], ['k', 'h', 'v']),
    ],
    extra: [
      truncate,
      r =>
        `insert into a (k, g, v) select i, 1, i from generate_series(1, ${r.int(1, 6)}) i on conflict do nothing`,
      r =>
        `insert into p (k, g, v, h) select i, 1 + i % 4, i, (select min(k) from a) from generate_series(1, ${r.int(1, 6)}) i on conflict do nothing`,
      r =>
        `insert into c (k, g, v, h) select 10 + p.k, p.g, p.v, p.k from p limit ${r.int(1, 6)} on conflict do nothing`,
      () => 'insert into d (k, g, v) select k, g, v from a on conflict do nothing',
      r =>
        `with x as (delete from a where k = ${r.int(1, 6)}), y as (delete from p where k = ${r.int(1, 6)} returning *) update c set v = v + 1`,
      r =>
        `with x as (update p set g = 1 + g % 4 where k = ${r.int(1, 6)} returning *) update c set v = x.v from x`,
      r => `update p set g = ${r.int(1, 4)} where g = ${r.int(1, 4)}`,
      r => `delete from a where k = ${r.int(1, 6)}`,
    ],
  }
}

export const WORLDS: Readonly<Record<string, (random: Random) => World>> = {
  plain,
  pair,
  parted,
  family,
  mixed,
}
