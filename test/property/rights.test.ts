import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Viewer } from '../../src/auth/viewer.js'
import type { WatchedTable } from '../../src/catalog/watched-table.js'
import type { RowImage } from '../../src/filters/index.js'
import type { RowChange } from '../../src/sources/tables/row-change.js'
import { createStaged, type Staged } from '../support/staged.js'
import { createViewerRoles, type ViewerRoles, viewerOf } from '../support/viewers.js'
import { createWatchedLog, type WatchedLog } from '../support/watched-log.js'

let watched: WatchedLog
let roles: ViewerRoles
let staged: Staged
let table: WatchedTable
let viewers: Viewer[]
let roleNames: string[]
let superuser: pg.Client

const SUB = `(current_setting('request.jwt.claims', true)::json ->> 'sub')`
const named = (text: string) => text.replace(/ROLE(\d)/g, (_, n) => roleNames[n] as string)
const run = (sql: string) => superuser.query(named(sql))

beforeAll(async () => {
  watched = await createWatchedLog()
  roles = createViewerRoles(watched)
  roleNames = [await roles.add('one'), await roles.add('two'), await roles.add('group')]
  table = await watched.table('id int primary key, owner text, v int', 'items')
  superuser = new pg.Client({ connectionString: watched.log.database.adminUrl })
  await superuser.connect()
  await run(`create table teams (member text); grant select on items, teams to ROLE0, ROLE1, ROLE2;
    create schema app; grant usage on schema app to public, ${watched.server.name};
    create function app.me_immutable() returns text language sql immutable as $$ select ${SUB} $$;
    create function app.me_stable() returns text language plpgsql stable as $$ begin return ${SUB}; end $$;
    create function app.is_mine(owner text) returns boolean language plpgsql immutable as $$ begin return owner = app.me_stable(); end $$`)
  const [one, two] = roleNames as [string, string]
  viewers = [viewerOf(one, { sub: 'ann' }), viewerOf(one, { sub: 'bob' }), viewerOf(two, { sub: 'ann' })]
  staged = await createStaged(watched)
  staged.tables.switchTo([table], true)
})
afterAll(async () => {
  await superuser?.end()
  await staged?.close()
  await roles?.close()
  await watched?.close()
})

const using = fc.constantFrom(
  'true',
  'true',
  'false',
  'v > 4',
  `owner = ${SUB}`,
  'owner = app.me_immutable()',
  'owner = (select app.me_immutable())',
  'owner = app.me_stable()',
  'owner = (select app.me_stable())',
  'app.is_mine(owner)',
  `exists (select from public.teams t where t.member = ${SUB})`,
  `app.me_stable() in (select member from public.teams)`,
  `pg_has_role(current_user, 'ROLE2', 'usage')`,
)
const kind = fc.constantFrom('permissive', 'permissive', 'restrictive')
const to = fc.constantFrom('public', 'ROLE0', 'ROLE1', 'ROLE2')
const name = fc.constantFrom('p0', 'p1', 'p2')
const owner = fc.constantFrom(`'ann'`, `'bob'`, 'null')
const number = fc.integer({ min: 0, max: 9 })
const id = fc.integer({ min: 1, max: 6 })

const change = fc.oneof(
  fc
    .tuple(name, kind, to, using)
    .map(
      ([p, as, role, condition]) =>
        `drop policy if exists ${p} on items; create policy ${p} on items as ${as} for select to ${role} using (${condition})`,
    ),
  name.map(p => `drop policy if exists ${p} on items`),
  fc.constantFrom(
    'alter table items disable row level security',
    'alter table items enable row level security',
    'grant ROLE2 to ROLE0',
    'revoke ROLE2 from ROLE0',
    'alter role ROLE1 bypassrls',
    'alter role ROLE1 nobypassrls',
  ),
  owner.map(member => `delete from teams; insert into teams values (${member})`),
)
const insert = fc
  .tuple(id, owner, number)
  .map(
    values =>
      `insert into items values (${values.join(', ')}) on conflict (id) do update set owner = excluded.owner, v = excluded.v`,
  )
const write = fc.oneof(
  { weight: 3, arbitrary: insert },
  {
    weight: 2,
    arbitrary: fc
      .tuple(owner, number, id)
      .map(([o, v, i]) => `update items set owner = ${o}, v = ${v} where id >= ${i}`),
  },
  { weight: 1, arbitrary: id.map(i => `delete from items where id = ${i}`) },
)
const steps = fc.array(fc.record({ change: fc.option(change, { freq: 2, nil: undefined }), write }), {
  minLength: 6,
  maxLength: 12,
})

/** What each viewer would see now if the privileges were changed this way. */
async function shownUnder(rights: string | undefined): Promise<ReadonlySet<unknown>[]> {
  const all: ReadonlySet<unknown>[] = []
  for (const { role, claims } of viewers) {
    await run(`begin; discard plans; ${rights ?? ''}`)
    await run(
      `set local role ${pg.escapeIdentifier(role as string)}; set local request.jwt.claims = ${pg.escapeLiteral(JSON.stringify(claims))}`,
    )
    const { rows } = await superuser.query<{ id: number }>('select id from public.items')
    await run('rollback')
    all.push(new Set(rows.map(row => row.id)))
  }
  return all
}

function changeWords({ operation, key, old, row }: RowChange): string {
  const one = (image: RowImage | null) =>
    image && JSON.stringify(['id', 'owner', 'v'].map(column => image.get(column)))
  return `${operation} ${key?.get('id')}: ${one(old)} -> ${one(row)}`
}

it('the server delivers what select shows under the privileges at the end of the transaction of the change', async () => {
  let shown = 0
  let hidden = 0
  await fc.assert(
    fc.asyncProperty(steps, async all => {
      await run(`drop policy if exists p0 on items; drop policy if exists p1 on items; drop policy if exists p2 on items;
        delete from items; delete from teams; insert into items values (1, 'ann', 1), (2, 'bob', 6), (3, 'ann', 8); alter table items enable row level security; revoke ROLE2 from ROLE0; alter role ROLE1 nobypassrls;
        create policy p0 on items using (owner = app.me_immutable())`)
      const everything = await staged.follow(table, undefined)
      const followings = await Promise.all(viewers.map(viewer => staged.follow(table, viewer)))
      for (const following of [everything, ...followings]) await following.level()
      const counts = followings.map(({ changes }) => changes.length)
      for (const { change: rights, write: sql } of all) {
        const before = await shownUnder(rights)
        const known = everything.changes.length
        await run(`begin; ${rights ? `${rights}; ` : ''}${sql}; commit`)
        // Wait until the change is decided, before the privileges change again.
        for (const following of [everything, ...followings]) await following.level()
        const after = await shownUnder(undefined)
        for (const [i, { changes, ended }] of followings.entries()) {
          expect(ended).toBeUndefined()
          const expected: string[] = []
          for (const one of everything.changes.slice(known)) {
            const key = one.key?.get('id')
            const old = before[i]?.has(key) ? one.old : null
            const row = after[i]?.has(key) ? one.row : null
            if (old || row) {
              expected.push(changeWords({ ...one, key: row ?? old, old, row }))
              shown++
            } else hidden++
          }
          expect(changes.slice(counts[i]).map(changeWords)).toEqual(expected)
          counts[i] = changes.length
        }
      }
      for (const { stop } of [everything, ...followings]) stop()
    }),
    { numRuns: 40, endOnFailure: true },
  )
  // The test would prove nothing if every row were shown, or none.
  expect(shown).toBeGreaterThan(50)
  expect(hidden).toBeGreaterThan(50)
}, 240_000)
