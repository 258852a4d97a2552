import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { mayReadItself } from '../../src/rls/self-reading.js'
import { createTestDatabase, type TestDatabase } from '../support/postgres.js'

let database: TestDatabase

beforeAll(async () => {
  database = await createTestDatabase()
  await database.query(`create schema app; create table app.items (id int primary key, owner text) partition by range (id);
    create table app.part partition of app.items default; create table app."Odd name" (id int)`)
})
afterAll(async () => {
  await database?.close()
})

const reading = (what: string, name = 'h()') =>
  `create function app.${name} returns boolean language plpgsql as $$ begin return exists (select from ${what}); end $$;`
const TEAMS = 'create table app.teams (id int); alter table app.teams enable row level security;'

const CASES: readonly (readonly [name: string, found: boolean, using: string, sql: string])[] = [
  ['nothing but the row', false, `owner = 'a'`, ''],
  ['a function', true, 'app.h()', reading('app.ITEMS')],
  ['a function that reads a partition', true, 'app.h()', reading('app.part')],
  ['a function that reads a table with a longer name', false, 'app.h()', reading('app.items_old')],
  ['a function that reads another table', false, 'app.h()', reading('app."Odd name"')],
  ['a function that calls another', true, 'app.h()', `${reading('app.items', 'g()')} create function app.h() returns boolean language sql as $$ select app.g() $$`],
  ['functions that call each other', false, 'app.h()', `create function app.h() returns boolean language plpgsql as $$ begin return app.g(); end $$; create function app.g() returns boolean language plpgsql as $$ begin return app.h(); end $$`],
  ['a view', true, 'exists (select from app.v)', 'create view app.v as select * from app.items'],
  ['a function that reads a view', true, 'app.h()', `create view app.v as select * from app.items; ${reading('app.v')}`],
  ['the policy of another table', true, 'exists (select from app.teams)', `${TEAMS} ${reading('app.items')} create policy q on app.teams using (app.h())`],
  ['another table', false, 'exists (select from app.teams)', `${TEAMS} create policy q on app.teams using (true)`],
  ['an operator', true, '1 operator(app.===) 1', `${reading('app.items', 'h(int, int)')} create operator app.=== (leftarg = int, rightarg = int, function = app.h)`],
] // biome-ignore format: a table

describe('the search finds policies that read the watched table itself', () => {
  it.each(CASES)('%s: %s', async (_name, found, using, sql) => {
    const [row] = await database.query(`select 'app.items'::regclass::oid::text as relid`)
    await database.query(`${sql}; create policy p on app.items using (${using})`)
    try {
      const client = {
        query: async (text: string, params: unknown[]) => ({ rows: await database.query(text, params) }),
      }
      expect(await mayReadItself(client as never, row?.relid as string)).toBe(found)
    } finally {
      await database.query(`drop policy p on app.items; drop view if exists app.v; drop table if exists app.teams cascade;
        drop operator if exists app.===(int, int);
        do $$ declare f regprocedure; begin for f in select oid from pg_proc where pronamespace = 'app'::regnamespace loop execute format('drop function %s cascade', f); end loop; end $$`)
    }
  })
})
