import { expect, it } from 'vitest'
import { isHarmless, readsOnlySettings } from '../../../src/rls/reads/plain-functions.js'

it.each([
  `select current_setting('request.jwt.claims', true)::json ->> 'sub'`,
  `SELECT nullif(current_setting('request.jwt.claim.sub', true), '')::uuid;`,
  `select coalesce(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> name, $2) -- a claim`,
  `/* from */ select case when name is null then 'from members' else pg_catalog.lower(name) end`,
  `select (select current_setting('app.tenant', true)::int4) as tenant`,
])('reads only settings: %s', body => {
  expect(readsOnlySettings(body, ['name'])).toBe(true)
})

it.each([
  `select org from members`,
  `select exists (table members)`,
  `select app.uid()`,
  `select my_orgs()`,
  `select now()`,
  `select "current_setting"('x')`,
  `select E'\\''`,
  `select current_setting('x'); delete from members`,
  `select 1; select 2`,
  `select secret`,
  `select 'x'::members`,
  `select 'x'::app.kind`,
  `with m as (select 1) select 1`,
  `values (1)`,
  `select $tag$ x $tag$`,
  `select current_setting('x`,
  '',
])('may read more: %s', body => {
  expect(readsOnlySettings(body, ['name'])).toBe(false)
})

it('the clock, the catalogue and the session are more than arguments', () => {
  for (const name of ['current_setting', 'to_char', 'timestamptz_lt_date', 'row_to_json', 'concat_ws'])
    expect([name, isHarmless(name, 2)]).toEqual([name, true])
  for (const name of ['now', 'statement_timestamp', 'age', 'has_table_privilege', 'pg_get_userbyid', 'to_regclass', 'table_to_xml', 'version', 'row_security_active']) // biome-ignore format: a list
    expect([name, isHarmless(name, 2)]).toEqual([name, false])
  expect([isHarmless('pg_has_role', 2), isHarmless('pg_has_role', 3)]).toEqual([true, false])
})
