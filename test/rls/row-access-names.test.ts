import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { WatchedTable } from '../../src/catalog/watched-table.js'
import type { RowImage } from '../../src/filters/index.js'
import type { RowAccess } from '../../src/rls/row-access.js'
import { createSecured, type Secured, seenBy } from '../support/secured.js'
import { viewerOf } from '../support/viewers.js'
import { waitUntil } from '../support/wait.js'

let secured: Secured
let role: string
let server: string
let helper: string
let table: WatchedTable
let images: RowImage[]
let access: RowAccess

const admin = (sql: string) => secured.admin(sql)
const CLAIM = `current_setting('request.jwt.claims', true)::json ->> 'sub'`

beforeAll(async () => {
  secured = await createSecured()
  role = await secured.roles.add('viewer')
  helper = await secured.roles.add('helper')
  server = secured.watched.server.name
  table = await secured.table('notes', 'id int primary key, owner text', [role])
  await admin(`create schema private; create table private.members (member text); insert into private.members values ('a'), ('b');
    create table private.secured (member text); insert into private.secured select member from private.members;
    alter table private.secured enable row level security; create policy p on private.secured using (member = ${CLAIM});
    create type private.mood as enum ('ok');
    grant select on private.members, private.secured to ${role};
    create function private.uid() returns text language sql stable as $$ select ${CLAIM} $$;
    create function private.is_member(member text) returns boolean language plpgsql stable security definer as $$
      begin return exists (select from private.members m where m.member = is_member.member); end $$`)
  images = await secured.written(table, `insert into notes values (1, 'a'), (2, 'b'), (3, 'c')`)
  access = secured.start({ connections: 1 })
})
afterAll(() => secured.close())

const viewers = () => ['a', 'b', 'c'].map(sub => viewerOf(role, { sub }))

async function shown(): Promise<unknown[]> {
  const all = []
  for (const viewer of viewers()) {
    const rows = await secured.roles.asViewer(viewer, 'select id from public.notes order by id')
    all.push(rows.map(({ id }) => id))
  }
  return all
}

const POLICIES = [
  'owner = private.uid()',
  'private.is_member(owner) and owner = private.uid()',
  `owner = ${CLAIM} and exists (select from private.members m where m.member = owner)`,
  `owner = ${CLAIM} and 'ok'::private.mood is not null`,
]

describe('names in a schema that the role may not use', () => {
  it.each(POLICIES)('hide no row that SELECT returns, if the login may use the schema: %s', async using => {
    await admin(
      `grant usage on schema private to ${server}; drop policy if exists p on notes; create policy p on notes using (${using})`,
    )
    for (let round = 0; round < 3; round++) {
      expect(await seenBy(access, table, viewers(), images)).toEqual(await shown())
      // Invalidates plans and cached policies.
      await admin('alter table private.members alter member set statistics 10; analyze private.members')
    }
    expect((await shown()).flat()).not.toEqual([])
  })

  it.each(POLICIES)(
    'hide no row that SELECT returns, if another role of the login may use the schema: %s',
    async using => {
      await admin(`revoke usage on schema private from ${server}; grant usage on schema private to ${helper};
      drop policy if exists p on notes; create policy p on notes using (${using} and true)`)
      const fresh = secured.start({ connections: 1 })
      for (let round = 0; round < 3; round++) {
        expect(await seenBy(fresh, table, viewers(), images)).toEqual(await shown())
        await admin('alter table private.members alter member set statistics 20; analyze private.members')
      }
      await admin(`revoke usage on schema private from ${helper}`)
    },
  )

  it('hide no row after the policies have changed, if the former ones fail meanwhile', async () => {
    await admin(`create table private.broken (); grant usage on schema private to ${server};
      create function private.works() returns boolean language plpgsql stable security definer as $$
        begin if exists (select from private.broken) then raise 'broken'; end if; return true; end $$;
      drop policy if exists p on notes; create policy p on notes using (private.works() and owner = private.uid())`)
    const mine = await shown()
    const fresh = secured.start({ connections: 1 })
    for (let round = 0; round < 2; round++)
      expect(await seenBy(fresh, table, viewers(), images)).toEqual(mine)
    // The server asks by the former policies once more, and learns from the same message that there are others.
    await admin(`insert into private.broken default values; drop policy p on notes;
      create policy p on notes using (owner = private.uid())`)
    for (let round = 0; round < 2; round++)
      expect(await seenBy(fresh, table, viewers(), images)).toEqual(mine)
    await admin(`revoke usage on schema private from ${server}`)
  })

  it('are refused with the remedy, if no role of the login may use the schema', async () => {
    for (const using of POLICIES) {
      await admin(`drop policy if exists p on notes; create policy p on notes using (${using} or false)`)
      const fresh = secured.start()
      const verdict = (await fresh.sees(table, viewers().slice(0, 1), [])).values().next().value
      expect(verdict).toMatchObject({
        code: 'FORBIDDEN',
        message:
          'the changes of table notes cannot be followed under its row-level security: policy p: permission denied for schema private',
        hint: "grant USAGE on that schema to the server's login: listenql parses policies as SQL",
      })
    }
  })

  it('are read again when a policy waits for a lock', async () => {
    await admin(`create or replace function private.wait(member text) returns boolean language plpgsql as $$
      begin if member = 'a' then perform pg_catalog.pg_advisory_xact_lock_shared(8); end if; return true; end $$;
      revoke usage on schema private from ${role}; grant usage on schema private to ${server};
      drop policy if exists p on notes; create policy p on notes using (owner = ${CLAIM} and private.wait(${CLAIM}))`)
    const mine = await shown()
    const fresh = secured.start({ connections: 1, policyTimeout: 200 })
    const owner = await secured.watched.log.connect({
      connectionString: secured.watched.log.database.adminUrl,
    })
    await owner.query('begin; select pg_advisory_xact_lock(8)')
    const asked = seenBy(fresh, table, viewers(), images)
    const attempts = new Set<unknown>()
    await waitUntil(async () => {
      const waiting = await admin(`select xact_start::text as began from pg_stat_activity
        where datname = current_database() and application_name = 'listenql policies' and wait_event_type = 'Lock'`)
      for (const { began } of waiting) attempts.add(began)
      return attempts.size > 2
    }, 'several attempts')
    await owner.query('rollback')
    expect(await asked).toEqual(mine)
    expect(await seenBy(fresh, table, viewers(), images)).toEqual(mine)
  })

  it('in the policies of another table require a grant to the role itself', async () => {
    await admin(`drop policy if exists p on notes; create policy p on notes using (owner in (select member from private.secured));
      grant usage on schema private to ${server}`)
    const fresh = secured.start()
    const verdict = (await fresh.sees(table, viewers().slice(0, 1), [])).values().next().value
    expect(verdict).toMatchObject({
      code: 'FORBIDDEN',
      hint: `grant USAGE on that schema to role ${role}: listenql parses policies as SQL`,
    })
    await admin(`grant usage on schema private to ${role}`)
    const verdicts = secured.start()
    expect(await seenBy(verdicts, table, viewers(), images)).toEqual(await shown())
    expect((await shown()).flat()).not.toEqual([])
  })
})
