import { afterAll, describe, expect, it } from 'vitest'
import { type Viewer, viewerKey } from '../../src/auth/viewer.js'
import type { WatchedTable } from '../../src/catalog/watched-table.js'
import { ListenqlError } from '../../src/lib/errors.js'
import { createSecuredRole } from '../support/secured-role.js'

const secured = await createSecuredRole()
const { roles, role, access, admin, me, withPolicies, sees } = secured
afterAll(() => secured.close())

/** Checks that a policy that is evaluated on the images returns the rows that Postgres shows. */
async function agrees(table: WatchedTable, viewers: readonly Viewer[], insert: string): Promise<string[]> {
  await admin(`delete from "${table.name}"`)
  const images = await secured.written(table, insert)
  const verdicts = await access.sees(table, viewers, images)
  const all: string[] = []
  for (const viewer of viewers) {
    const verdict = verdicts.get(viewerKey(viewer, true))
    if (!verdict || verdict instanceof ListenqlError) throw verdict ?? new Error('no verdict')
    const shown = (await roles.asViewer(viewer, `select id from public."${table.name}" order by id`)).map(
      ({ id }) => id,
    )
    const found = images.filter((_, i) => verdict[i]).map(image => image.get('id'))
    expect(found).toEqual(shown)
    all.push(shown.join(' '))
  }
  return all
}

describe('an image equals the row', () => {
  it('for values of all kinds of types', async () => {
    await admin(`create type mood as enum ('ok', 'bad'); create type pair as (a int, b text); create domain slug as text check (value <> '');
      create domain needed as int not null; create type span as range (subtype = float8)`)
    const samples: readonly (readonly [type: string, ...values: string[]])[] = [
      ['int8', '9223372036854775807', '-1'],
      ['numeric', '1.50', 'NaN', '12345678901234567890.1234567890'],
      ['float8', '0.1', '1e300', '-0', 'Infinity', 'NaN', '0.30000000000000004'],
      ['float4', '0.1', '16777217'],
      ['bool', 'true', 'false'],
      ['text', 'a', '', 'quo"te\\ back', "it's", 'ü\u{1f600}\n\t'],
      ['bpchar(5)', 'ab', 'abcde'],
      ['varchar(3)', 'abc'],
      ['bytea', '\\x00ff27'],
      ['uuid', '0e37df36-f698-11e6-8dd4-cb9ced3df976'],
      ['date', '2024-02-29', 'infinity', '0044-03-15 BC', '20000-01-01'],
      ['timestamp', '2024-02-29 12:34:56.789012', '-infinity', '0044-03-15 01:02:03 BC'],
      [
        'timestamptz',
        '2024-02-29 12:34:56.789012+03',
        'infinity',
        '0044-03-15 01:02:03+00 BC',
        '20000-01-01 00:00:00+00',
      ],
      ['time', '12:34:56.5', '24:00'],
      ['timetz', '12:34:56+03:30'],
      ['interval', '1 mon -2 days 3:04:05.6', '-1 year', '0', '1 year -1 mon'],
      ['money', '-12.34'],
      ['inet', '10.0.0.0/8', '::1'],
      ['macaddr', '08:00:2b:01:02:03'],
      ['bit(4)', '1010'],
      ['varbit', '', '101'],
      ['point', '(0.1,2)'],
      ['box', '(1,1),(0.1,0)'],
      ['int4range', '[1,5)', 'empty', '(,)'],
      ['tstzrange', '["2024-01-01 00:00+02","2024-06-01 00:00+00")'],
      ['int4multirange', '{[1,2),[5,7)}'],
      ['tsvector', "'a':1 'b'"],
      ['xml', '<a>b</a>'],
      ['int4[]', '{1,NULL,3}', '{}', '{{1,2},{3,4}}'],
      ['text[]', '{a,"b c",NULL,"NULL",""}'],
      ['timestamptz[]', '{"2024-02-29 12:34:56+03"}'],
      ['bytea[]', '{"\\\\x00ff"}'],
      ['public.mood', 'ok', 'bad'],
      ['public.mood[]', '{ok,NULL,bad}', '{{ok},{bad}}'],
      ['public.pair', '(1,"a b")', '(,)', '(1,)'],
      ['public.pair[]', '{"(1,a)","(,)"}'],
      ['public.slug', 'a'],
      ['public.slug[]', '{a,b}'],
      ['public.span', '[0.1,0.30000000000000004)'],
      ['pg_lsn', '16/B374D848'],
      ['xid8', '42'],
      ['"char"', 'x'],
      ['name', 'nick'],
      ['jsonpath', '$."a"'],
    ]
    // Each policy compares the text of one column, so that every digit counts; the claims name the column and the text.
    const claim = (name: string) => `current_setting('request.jwt.claims')::json ->> '${name}'`
    const table = await withPolicies(
      [
        'id int primary key',
        'n public.needed default 1',
        ...samples.map(([type], i) => `v${i} ${type}`),
      ].join(', '),
      'kinds',
      samples
        .map(
          ([type], i) => `create policy p${i} on kinds using (case when ${claim('c')} = 'v${i}'
        then id / 10 in (0, ${i + 1}) and v${i}::text is not distinct from (${claim('v')})::${type}::text end)`,
        )
        .join(';'),
    )
    const rows = samples.flatMap(([, ...values], i) =>
      values.map((v, k) => ({ id: 10 * (i + 1) + k, c: `v${i}`, v })),
    )
    const insert = [
      `insert into kinds values (0)`,
      ...rows.map(
        ({ id, c, v }) => `insert into kinds (id, ${c}) values (${id}, '${v.replaceAll("'", "''")}')`,
      ),
    ]
    const viewers = [...rows.map(({ c, v }) => me({ c, v })), ...samples.map((_, i) => me({ c: `v${i}` }))]
    expect(await agrees(table, viewers, insert.join(';'))).toEqual([
      ...rows.map(({ id }) => String(id)),
      ...samples.map(() => '0'),
    ])
  })

  it('for JSON, except for a null that can mean SQL NULL or JSON null: then both must pass the policy', async () => {
    const table = await withPolicies(
      'id int primary key, a jsonb, b json, c jsonb not null',
      'jsons',
      `create policy p on jsons using (a ->> 'owner' = current_setting('request.jwt.claims')::json ->> 'sub'
        or b ->> 'owner' = current_setting('request.jwt.claims')::json ->> 'sub' or c = 'null' or c = '"x"' or c = '1.50')`,
    )
    const shown = await agrees(
      table,
      [me({ sub: 'ann' }), me({ sub: 'bob' })],
      `insert into jsons values (1, '{"owner": "ann"}', null, '0'), (2, null, '{"owner":"bob","x":"\\u00fc"}', '0'), (3, null, null, 'null'),
        (4, 'null', 'null', '"x"'), (5, null, null, '1.50'), (6, 'null', null, '{"a": [1, null]}'), (7, '[]', '"\\u0041"', 'false')`,
    )
    expect(shown).toEqual(['1 3 4 5', '2 3 4 5'])
    await admin('drop policy p on jsons; create policy p on jsons using (a is null or id > 90)')
    const images = await secured.written(
      table,
      `insert into jsons values (11, null, null, '0'), (12, 'null', null, '0'), (91, null, null, '0'), (92, 'null', null, '0')`,
    )
    expect(await sees(table, me(), images)).toEqual([false, false, true, true])
  })

  it('even if another column contains JSON that the functions of Postgres cannot read', async () => {
    const table = await withPolicies(
      'id int primary key, j json',
      'unreadable',
      'create policy p on unreadable using (id > 1)',
    )
    await agrees(
      table,
      [me()],
      String.raw`insert into unreadable select i, '{"a": "\u0000"}' from generate_series(1, 2) i`,
    )
    await admin(`drop policy p on unreadable; create policy p on unreadable using (j is not null and id > 1)`)
    await agrees(
      table,
      [me()],
      String.raw`insert into unreadable select i, '{"a": "\u0000"}' from generate_series(3, 4) i`,
    )
  })

  it('as a whole row, and under its collation', async () => {
    await secured.watched.table(
      `id int primary key, needed public.needed, gone int, v text collate "C", t text, ü text`,
      'wholes',
    )
    const name = 'wholes'
    await admin(`alter table wholes drop column gone; drop collation if exists public.fold;
      create collation public.fold (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
      alter table wholes alter column t type text collate public.fold`)
    await secured.watched.log.refresh()
    await admin(`create function whole(wholes) returns boolean language sql set search_path = public as $$ select $1.ü = 'ä' $$;
      alter table wholes enable row level security; grant select on wholes to "${role}";
      create policy p on wholes using (t = 'ABC' or v > 'a')`)
    const insert = `insert into wholes values (1, 1, 'B', 'abc', null), (2, 1, 'b', null, null), (3, 1, 'B', 'x', 'ä'), (4, 2, 'C', null, 'ö')`
    expect(await agrees(await secured.watched.find(name), [me()], insert)).toEqual(['1 2'])
    await admin(
      `alter policy p on wholes using (whole(wholes) or wholes = row(4, 2, 'C', null, 'ö')::wholes)`,
    )
    expect(await agrees(await secured.watched.find(name), [me()], insert)).toEqual(['3 4'])
  })
})

describe('a policy that reads something that an image does not contain is refused, and the error names it', () => {
  it.each([
    ['id int primary key', 'ctid is not null', 'it uses the system column ctid'],
    ['id int primary key', 'tableoid = 1', 'it uses the system column tableoid'],
    [
      'id int primary key',
      '(select max(xmin::text) from pg_class c where c.oid = refused.tableoid) is null',
      'it uses the system column tableoid',
    ],
    [
      'id int primary key, c regclass',
      'c is null',
      'the text of column c, of type regclass, does not determine its value',
    ],
    [
      'id int primary key, c jsonb[]',
      'c is null',
      'column c is an array of jsonb, in which NULL and a JSON null look the same',
    ],
    [
      'id int primary key, c jsonb',
      'refused is not null',
      'it uses the whole row, and in column c NULL and a JSON null look the same',
    ],
    [
      'id int primary key',
      'exists (select from refused r where r.id = 1)',
      'infinite recursion detected in policy for relation "refused"',
    ],
  ])('%s using %s', async (definition, using, reason) => {
    await admin('drop table if exists refused')
    const table = await withPolicies(
      definition,
      'refused',
      `create policy fine on refused using (id > 0); create policy "no'go" on refused using (${using})`,
    )
    expect(await sees(table, me(), [])).toBe(
      `FORBIDDEN: the changes of table refused cannot be followed under its row-level security: policy no'go: ${reason}`,
    )
    await admin(`drop policy "no'go" on refused`)
    expect(await sees(table, me(), [])).toEqual([])
  })
})
