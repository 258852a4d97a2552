import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Viewer, viewerKey } from '../../src/auth/viewer.js'
import type { WatchedTable } from '../../src/catalog/watched-table.js'
import { createImageReader, type RowImage } from '../../src/filters/index.js'
import { ListenqlError } from '../../src/lib/errors.js'
import { createRowAccess, type RowAccess, type RowAccessOptions } from '../../src/rls/row-access.js'
import { createObserved } from '../support/observed.js'
import { createViewerRoles, type ViewerRoles, viewerOf } from '../support/viewers.js'
import { waitUntil } from '../support/wait.js'
import { createWatchedLog, type WatchedLog } from '../support/watched-log.js'

let watched: WatchedLog
let roles: ViewerRoles
let role: string
let access: RowAccess
const observed = createObserved()

function start(more: Partial<RowAccessOptions> = {}): RowAccess {
  return createRowAccess({
    config: watched.server.config,
    connectTimeout: 5000,
    reconnectMax: 100,
    policyTimeout: 2000,
    keepsPrepared: true,
    observe: observed.observe,
    ...more,
  })
}

beforeAll(async () => {
  watched = await createWatchedLog()
  roles = createViewerRoles(watched)
  role = await roles.add('viewer')
  access = start()
})
afterAll(async () => {
  await access.close()
  await roles.close()
  await watched.close()
})

const admin = (sql: string) => watched.log.database.query(sql)
const me = (claims: Viewer['claims'] = {}) => viewerOf(role, claims)

/** Creates a table with row-level security that the role may read. */
async function secured(definition: string, name: string, policies: string): Promise<WatchedTable> {
  await watched.table(definition, name)
  await admin(
    `alter table "${name}" enable row level security; grant select on "${name}" to "${role}"; ${policies}`,
  )
  return watched.find(name)
}

/** Returns the images of the written rows, as in the log. */
async function written(table: WatchedTable, sql: string): Promise<RowImage[]> {
  await watched.log.fresh()
  await admin(sql)
  const read = createImageReader(table.columns)
  return (await watched.log.fresh())
    .filter(({ new: image }) => image !== null)
    .map(event => read(event.new as string))
}

/** Returns the rows that one viewer sees, or the code and message of the error. */
async function sees(table: WatchedTable, viewer: Viewer, images: readonly RowImage[]): Promise<unknown> {
  const verdict = (await access.sees(table, [viewer], images)).get(viewerKey(viewer, true))
  return verdict instanceof ListenqlError ? `${verdict.code}: ${verdict.message}` : verdict
}

describe('policies are evaluated on images', () => {
  it('whatever the table contains now, for each viewer with its claims', async () => {
    const table = await secured(
      'id int primary key, owner text',
      'notes',
      `create policy mine on notes using (owner = current_setting('request.jwt.claims')::json ->> 'sub')`,
    )
    const images = await written(table, `insert into notes values (1, 'a'), (2, 'b'), (3, null)`)
    await admin('truncate notes')
    const viewers = ['a', 'b', 'c'].map(sub => me({ sub }))
    const verdicts = await access.sees(table, viewers, images)
    expect(viewers.map(viewer => verdicts.get(viewerKey(viewer, true)))).toEqual([
      [true, false, false],
      [false, true, false],
      [false, false, false],
    ])
    // A viewer without claims gets an empty object.
    expect(await sees(table, me(), images)).toEqual([false, false, false])
  })

  it('with OR between permissive policies and AND for restrictive policies; without a permissive policy, no row is visible', async () => {
    const table = await secured(
      'id int primary key',
      'joined',
      'create policy r on joined as restrictive using (id > 1)',
    )
    const images = await written(table, 'insert into joined select generate_series(0, 5)')
    expect(await sees(table, me(), images)).toEqual(images.map(() => false))
    await admin('create policy p on joined using (id < 3)')
    expect(await sees(table, me(), images)).toEqual([false, false, true, false, false, false])
    await admin('create policy q on joined for select using (id = 5 or id = 0 or id is null)')
    expect(await sees(table, me(), images)).toEqual([false, false, true, false, false, true])
    await admin('alter policy r on joined using (id > 2)') // The change applies at once.
    expect(await sees(table, me(), images)).toEqual([false, false, false, false, false, true])
    await admin('alter table joined disable row level security')
    expect(await sees(table, me(), images)).toEqual(images.map(() => true))
    await admin(`revoke select on joined from "${role}"`)
    expect(await sees(table, me(), images)).toBe(`FORBIDDEN: role ${role} may not read table joined`)
  })

  it('regardless of the names that the policies refer to', async () => {
    await admin(`create schema "Other's"; grant usage on schema "Other's" to public;
      create table "Other's".friends (a text, notes text); insert into "Other's".friends values ('ann', 'bob');
      grant select on "Other's".friends to "${role}";
      create function "Other's".same(a text, b text) returns boolean language sql as 'select a = b';
      create operator "Other's".=== (leftarg = text, rightarg = text, function = "Other's".same);
      create type "Other's"."Mood" as enum ('so la la', 'fi''ne')`)
    const name = `Odd "t'able`
    const quoted = '"Odd ""t\'able"'
    const definition = `id int primary key, ${quoted} text, "od.*d" text, friends text, seen text, _lq_v text, i text, mood "Other's"."Mood", "$1" int`
    await watched.log.query(`create table ${quoted} (${definition})`)
    await watched.log.watch(quoted)
    const found = await watched.find(name)
    await admin(`alter table ${quoted} enable row level security; grant select on ${quoted} to "${role}"; create policy "p'1" on ${quoted} using (
      (${quoted} = 'x' and "od.*d" ~ '.*y' and seen is null and _lq_v is null and i is null and "$1" = 1)
      or exists (select from "Other's".friends f where f.notes = ${quoted}.friends and f.a OPERATOR("Other's".===) seen)
      or exists (select from "Other's".friends where friends.notes = ${quoted}.seen)
      or mood = 'fi''ne')`)
    const images = await written(
      found,
      `insert into ${quoted} values (1, 'x', 'yy', null, null, null, null, null, 1), (2, 'x', 'yy', null, null, null, null, null, 2),
        (3, null, null, 'bob', 'ann', null, null, null, null), (4, null, null, 'bob', 'bob', null, null, null, null),
        (5, null, null, 'ann', 'ann', null, null, null, null), (6, null, null, null, null, null, null, 'fi''ne', null),
        (7, null, null, null, null, null, null, 'so la la', null)`,
    )
    expect(await sees(found, me(), images)).toEqual([true, false, true, true, false, true, false])
    const shown = await roles.asViewer(me(), `select id from public.${quoted} order by id`)
    expect(shown.map(({ id }) => id)).toEqual([1, 3, 4, 6])
  })
})

/** Checks that a policy that is evaluated on the images returns the rows that Postgres shows. */
async function agrees(table: WatchedTable, viewers: readonly Viewer[], insert: string): Promise<string[]> {
  await admin(`delete from "${table.name}"`)
  const images = await written(table, insert)
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
    const table = await secured(
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
    const table = await secured(
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
    const images = await written(
      table,
      `insert into jsons values (11, null, null, '0'), (12, 'null', null, '0'), (91, null, null, '0'), (92, 'null', null, '0')`,
    )
    expect(await sees(table, me(), images)).toEqual([false, false, true, true])
  })

  it('even if another column contains JSON that the functions of Postgres cannot read', async () => {
    const table = await secured(
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
    await watched.table(
      `id int primary key, needed public.needed, gone int, v text collate "C", t text, ü text`,
      'wholes',
    )
    const name = 'wholes'
    await admin(`alter table wholes drop column gone; drop collation if exists public.fold;
      create collation public.fold (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
      alter table wholes alter column t type text collate public.fold`)
    await watched.log.refresh()
    await admin(`create function whole(wholes) returns boolean language sql set search_path = public as $$ select $1.ü = 'ä' $$;
      alter table wholes enable row level security; grant select on wholes to "${role}";
      create policy p on wholes using (t = 'ABC' or v > 'a')`)
    const insert = `insert into wholes values (1, 1, 'B', 'abc', null), (2, 1, 'b', null, null), (3, 1, 'B', 'x', 'ä'), (4, 2, 'C', null, 'ö')`
    expect(await agrees(await watched.find(name), [me()], insert)).toEqual(['1 2'])
    await admin(
      `alter policy p on wholes using (whole(wholes) or wholes = row(4, 2, 'C', null, 'ö')::wholes)`,
    )
    expect(await agrees(await watched.find(name), [me()], insert)).toEqual(['3 4'])
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
    const table = await secured(
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

describe('between viewers', () => {
  it('an error affects only the viewer that causes it', async () => {
    const table = await secured(
      'id int primary key',
      'alone',
      `create policy p on alone using (id = (current_setting('request.jwt.claims')::json ->> 'n')::int)`,
    )
    const images = await written(table, 'insert into alone values (1), (2)')
    const viewers = ['1', 'x', '2', '', 'y', 'z', '1.5', '2'].map((n, i) => me({ n, i }))
    const taker = await roles.add('not_taken')
    await admin(`grant select on alone to ${taker}; revoke ${taker} from ${watched.server.name}`)
    const all = [...viewers, viewerOf(taker, { n: '1' }), viewerOf('no such role', { n: '1' })]
    for (let round = 0; round < 2; round++) {
      const verdicts = await access.sees(table, all, images)
      const failed = 'FORBIDDEN: the row-level security of table alone failed for this viewer'
      expect(
        all.map(viewer => {
          const verdict = verdicts.get(viewerKey(viewer, true))
          return verdict instanceof ListenqlError ? `${verdict.code}: ${verdict.message}` : verdict
        }),
      ).toEqual([
        [true, false], failed, [false, true], failed, failed, failed, failed, [false, true],
        `FORBIDDEN: the server's login may not take the role ${taker}`, 'FORBIDDEN: there is no role no such role',
      ]) // biome-ignore format: a list
    }
    await observed.until('policy.failed', {
      table: 'alone',
      message: 'invalid input syntax for type integer: "x"',
    })
  })

  it('a timeout affects only the viewer that causes it', async () => {
    const hasty = start({ policyTimeout: 300 })
    const table = await secured(
      'id int primary key',
      'slow',
      `create policy p on slow using (case when current_setting('request.jwt.claims')::json ->> 'sub' = 'slow' then pg_sleep(20) is null else true end)`,
    )
    const images = await written(table, 'insert into slow values (1), (2)')
    const viewers = ['a', 'slow', 'b'].map(sub => me({ sub }))
    const verdicts = await hasty.sees(table, viewers, images)
    const slow = verdicts.get(viewerKey(me({ sub: 'slow' }), true))
    expect(slow).toMatchObject({ code: 'QUERY_TIMEOUT' })
    expect(verdicts.get(viewerKey(me({ sub: 'b' }), true))).toEqual([true, true])
    await hasty.close()
  })

  it('a setting that is made for one viewer does not reach another viewer', async () => {
    const table = await secured('id int primary key, owner text', 'leaky', '')
    await admin(`create or replace function who() returns text language plpgsql set search_path = pg_catalog as $$
      begin
        if coalesce(current_setting('app.who', true), '') = '' then
          perform set_config('app.who', current_setting('request.jwt.claims')::json ->> 'sub', false);
        end if;
        return current_setting('app.who');
      end $$; create policy p on leaky using (owner = public.who())`)
    const images = await written(table, `insert into leaky values (1, 'a'), (2, 'b'), (3, 'c')`)
    const viewers = ['a', 'b', 'c', 'a', 'd'].map((sub, i) => me({ sub, i }))
    for (let round = 0; round < 3; round++) {
      const verdicts = await access.sees(table, viewers, images)
      expect(viewers.map(viewer => verdicts.get(viewerKey(viewer, true)))).toEqual([
        [true, false, false], [false, true, false], [false, false, true], [true, false, false], [false, false, false],
      ]) // biome-ignore format: a list
    }
  })

  it('only a lock makes all viewers wait', async () => {
    await admin(
      `create table if not exists members (who text); truncate members; insert into members values ('a'); grant select on members to "${role}"`,
    )
    const table = await secured(
      'id int primary key',
      'locked',
      `create policy p on locked using (exists (select from members where who = current_setting('request.jwt.claims')::json ->> 'sub'))`,
    )
    const images = await written(table, 'insert into locked values (1)')
    const owner = await watched.log.connect({ connectionString: watched.log.database.adminUrl })
    const hasty = start({ policyTimeout: 200 })
    await hasty.sees(table, [me({ sub: 'a' })], images)
    await owner.query('begin; lock members')
    let isDone = false
    const asked = hasty.sees(table, [me({ sub: 'a' }), me({ sub: 'b' })], images).finally(() => {
      isDone = true
    })
    const blocked = async (after: unknown) =>
      (
        await admin(`select xact_start::text as began from pg_stat_activity where datname = current_database()
        and application_name = 'listenql policies' and wait_event_type = 'Lock'`)
      )
        .map(({ began }) => began)
        .find(began => began !== after)
    const first = await waitUntil(() => blocked(undefined), 'a policy to wait')
    await waitUntil(() => blocked(first), 'a policy to wait again')
    expect(isDone).toBe(false)
    await owner.query('rollback')
    expect([...(await asked).values()]).toEqual([[true], [false]])
    await hasty.close()
  })
})

describe('the connection', () => {
  it('is replaced whenever it is lost', async () => {
    const table = await secured(
      'id int primary key',
      'lossy',
      'create policy p on lossy using (id > 1 and pg_sleep(0.005) is not null)',
    )
    const images = await written(table, 'insert into lossy values (1), (2)')
    const viewers = Array.from({ length: 120 }, (_, i) => me({ i }))
    await access.sees(table, viewers.slice(0, 1), images)
    const asked = access.sees(table, viewers, images)
    for (let killed = 0; killed < 3; ) {
      killed += (
        await admin(`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()
        and application_name = 'listenql policies' and state = 'active'`)
      ).length
    }
    const verdicts = await asked
    expect(viewers.map(viewer => verdicts.get(viewerKey(viewer, true)))).toEqual(
      viewers.map(() => [false, true]),
    )
    await observed.until('policies.lost')
  })

  it('keeps no session state if the next transaction may run in another session', async () => {
    const table = await secured(
      'id int primary key',
      'pooled',
      `create policy p on pooled using (id > (current_setting('request.jwt.claims')::json ->> 'n')::int)`,
    )
    const images = await written(table, 'insert into pooled values (1), (2)')
    const careful = start({ keepsPrepared: false, connections: 1 })
    for (let round = 0; round < 2; round++) {
      const verdicts = await careful.sees(table, [me({ n: 1 }), me({ n: 'x' }), me({ n: 0 })], images)
      expect([...verdicts.values()].map(verdict => (verdict instanceof ListenqlError ? verdict.code : verdict))).toEqual([
        [false, true], 'FORBIDDEN', [true, true],
      ]) // biome-ignore format: a list
      const [last] = await admin(
        `select query from pg_stat_activity where datname = current_database() and application_name = 'listenql policies' order by query_start desc`,
      )
      expect(last?.query).toMatch(/deallocate/)
    }
    await careful.close()
  })

  it('ends when the signal aborts, and when the access is closed', async () => {
    const table = await secured(
      'id int primary key',
      'ending',
      'create policy p on ending using (pg_sleep(0.3) is not null)',
    )
    const images = await written(table, 'insert into ending values (1)')
    const ending = start({ policyTimeout: 60_000, connections: 1 })
    const stop = new AbortController()
    const asked = ending.sees(table, [me({ a: 1 }), me({ a: 2 })], images, stop.signal)
    stop.abort(new Error('left'))
    await expect(asked).rejects.toThrow('left')
    const closed = ending.sees(table, [me()], images)
    const outcome = closed.then(
      () => 'done',
      error => (error as ListenqlError).code,
    )
    await ending.close()
    expect(['done', 'DATABASE_FAILED']).toContain(await outcome)
    await expect(ending.sees(table, [me()], images)).rejects.toMatchObject({ code: 'DATABASE_FAILED' })
  })
})
