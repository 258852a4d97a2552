import { afterAll, describe, expect, it } from 'vitest'
import { viewerKey } from '../../src/auth/viewer.js'
import type { ListenqlError } from '../../src/lib/errors.js'
import { createSecuredRole } from '../support/secured-role.js'

const secured = await createSecuredRole()
const { roles, role, access, admin, me, withPolicies, sees } = secured
afterAll(() => secured.close())

describe('policies are evaluated on images', () => {
  it('whatever the table contains now, for each viewer with its claims', async () => {
    const table = await withPolicies(
      'id int primary key, owner text',
      'notes',
      `create policy mine on notes using (owner = current_setting('request.jwt.claims')::json ->> 'sub')`,
    )
    const images = await secured.written(table, `insert into notes values (1, 'a'), (2, 'b'), (3, null)`)
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
    const table = await withPolicies(
      'id int primary key',
      'joined',
      'create policy r on joined as restrictive using (id > 1)',
    )
    const images = await secured.written(table, 'insert into joined select generate_series(0, 5)')
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
    await secured.watched.log.query(`create table ${quoted} (${definition})`)
    await secured.watched.log.watch(quoted)
    const found = await secured.watched.find(name)
    await admin(`alter table ${quoted} enable row level security; grant select on ${quoted} to "${role}"; create policy "p'1" on ${quoted} using (
      (${quoted} = 'x' and "od.*d" ~ '.*y' and seen is null and _lq_v is null and i is null and "$1" = 1)
      or exists (select from "Other's".friends f where f.notes = ${quoted}.friends and f.a OPERATOR("Other's".===) seen)
      or exists (select from "Other's".friends where friends.notes = ${quoted}.seen)
      or mood = 'fi''ne')`)
    const images = await secured.written(
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

describe('a check', () => {
  it('ends when the signal aborts, and when the access is closed', async () => {
    const table = await withPolicies(
      'id int primary key',
      'ending',
      'create policy p on ending using (pg_sleep(0.3) is not null)',
    )
    const images = await secured.written(table, 'insert into ending values (1)')
    const ending = secured.start({ policyTimeout: 60_000, connections: 1 })
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
