import fc from 'fast-check'

/*
 * Random transactions over the tables of `createPlanTables`, many of which move a row into or out of a result, or to the edge of a list.
 */

const id = fc.integer({ min: 0, max: 14 })
const pick = (...values: string[]) => fc.constantFrom(...values)
const org = pick('0', '1', '1.00', '2', 'null')
const text = pick(`'Ann'`, `'z'`, `'t1'`, 'null')
const mood = pick(`'sad'`, `'ok'`, `'happy'`, 'null')

const statement: fc.Arbitrary<string> = fc.oneof(
  fc.tuple(id, id, org, id, text, id).map(
    ([key, boss, o, no, name, age]) =>
      `insert into people values (${key}, ${boss}, ${o}, ${no % 4}, ${name}, ${age}, ${age} / 4.0, 'ok') on conflict (id) do update
       set boss = excluded.boss, org = excluded.org, team_no = excluded.team_no, name = excluded.name`,
  ),
  fc.tuple(id, id).map(([key, age]) => `update people set age = ${age % 9}, score = ${age} where id = ${key}`),
  fc.tuple(id, id).map(([key, boss]) => `update people set boss = ${boss} where id = ${key}`),
  fc.tuple(id, org, id).map(([key, o, no]) => `update people set org = ${o}, team_no = ${no % 4} where id = ${key}`),
  fc.tuple(id, text).map(([key, name]) => `update people set name = ${name} where id = ${key}`),
  fc.tuple(id, mood).map(([key, m]) => `update people set mood = ${m} where id % 5 = ${key % 5}`),
  id.map(key => `delete from people where id = ${key}`),
  fc.tuple(id, id).map(
    ([key, to]) => `update people set id = ${to} where id = ${key} and not exists (select from people where id = ${to})`,
  ),
  fc.tuple(org, id, text).map(
    ([o, no, name]) =>
      `insert into teams values (coalesce(${o}, 3), ${no % 4}, ${name}) on conflict (no, org) do update set name = excluded.name`,
  ),
  fc.tuple(org, id).map(([o, no]) => `delete from teams where org = ${o} and no = ${no % 4}`),
  fc.tuple(id, id, text).map(
    ([key, owner, title]) =>
      `insert into tasks values (${key}, ${owner}, ${title}, ${key} / 2.0, '2026-01-03', '10.0.0.1') on conflict (id) do update set owner = excluded.owner, title = excluded.title`,
  ),
  fc.tuple(id, id).map(([key, owner]) => `update tasks set owner = ${owner}, cost = ${owner} where id = ${key}`),
  fc.tuple(id, id).map(([key, owner]) => `update tasks set owner = ${owner} where id = ${key}`),
  fc.tuple(id, id).map(([key, cost]) => `update tasks set cost = ${cost}, due = date '2026-01-01' + ${cost % 5} where id = ${key}`),
  id.map(key => `delete from tasks where id = ${key}`),
  fc.tuple(id, id).map(([task, weight]) => `insert into tags values (${task}, 'x${weight % 4}', ${weight % 3})`),
  fc.tuple(id, id).map(([task, to]) => `update tags set task = ${to} where task = ${task}`),
  id.map(weight => `delete from tags where weight = ${weight % 3} and tag = 'x${weight % 4}'`),
  pick('truncate tags', 'truncate tasks'),
) // biome-ignore format: a list

/** The statements of one transaction. None of them fails. */
export const transaction: fc.Arbitrary<readonly string[]> = fc.array(statement, {
  minLength: 1,
  maxLength: 3,
})
