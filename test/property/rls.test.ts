import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Viewer } from '../../src/auth/viewer.js'
import type { WatchedTable } from '../../src/catalog/watched-table.js'
import { parseFilter, type RowImage, toPredicate } from '../../src/filters/index.js'
import { comparePositions, type Position } from '../../src/log/position.js'
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
/** Pages of events that conditions decided about, at least for some viewers. */
let pagesDecided = 0

const admin = (sql: string) => watched.log.database.query(sql)

beforeAll(async () => {
  watched = await createWatchedLog()
  roles = createViewerRoles(watched)
  roleNames = [
    await roles.add('one'),
    await roles.add('two'),
    await roles.add('group'),
    await roles.add('bypass', 'bypassrls'),
    await roles.add('owner'),
  ]
  const [one, two, group, bypass, owner] = roleNames as [string, string, string, string, string]
  table = await watched.table('id int primary key, owner text, team int, v int, doc jsonb', 'items')
  await admin(`create table teams (team int, member text); grant select on items, teams to ${roleNames.join(', ')};
    grant ${group} to ${two}; alter table items owner to ${owner}; alter table teams enable row level security;
    create policy t on teams using (member = ${SUB} or ${SUB} = 'ann')`)
  await admin(`create schema app; grant usage on schema app to public, ${watched.server.name};
    create function app.me_immutable() returns text language sql immutable as $$ select ${SUB} $$;
    create function app.me_stable() returns text language plpgsql stable as $$ begin return ${SUB}; end $$;
    create function app.is_mine(owner text) returns boolean language plpgsql immutable as $$ begin return owner = ${SUB}; end $$;
    create function app.my_teams() returns setof int language sql stable as $$ select team from public.teams where member = app.me_immutable() $$;
    create function app.in_team(t int) returns boolean language plpgsql immutable security definer as $$ begin return exists (select from public.teams where team = t and member = app.me_stable()); end $$`)
  viewers = [
    viewerOf(one, { sub: 'ann' }), viewerOf(one, { sub: 'bob', team: 1 }), viewerOf(two, { sub: 'ann', level: 3 }),
    viewerOf(two, { sub: "o'neil", team: 2, admin: true }), viewerOf(group), viewerOf(bypass, { sub: 'bob' }), viewerOf(owner, { sub: 'ann' }),
  ] // biome-ignore format: a list
  staged = await createStaged(watched, {
    readConditions: read => (of, some, signal) => {
      const conditions = read(of, some, signal)
      void conditions?.then(({ size }) => {
        if (size > 0) pagesDecided++
      })
      return conditions
    },
  })
  staged.tables.switchTo([await watched.find('items')], true)
})
afterAll(async () => {
  await staged.close()
  await roles.close()
  await watched.close()
})

const claim = (name: string) => `(current_setting('request.jwt.claims', true)::json ->> '${name}')`
const SUB = claim('sub')

const condition: fc.Arbitrary<string> = fc.letrec<{ all: string; one: string }>(tie => ({
  one: fc.oneof(
    fc.constantFrom(
      'true', 'false', 'null::boolean', `owner = ${SUB}`, 'owner is null', 'v % 2 = 0', `team = ${claim('team')}::int`, `${claim('admin')} = 'true'`,
      `exists (select from public.teams t where t.team = items.team and t.member = ${SUB})`, `team in (select team from public.teams)`,
      // Helper functions with correct and incorrect volatility declarations.
      `owner = app.me_immutable()`, `owner = (select app.me_immutable())`, `owner = app.me_stable()`, `owner = (select app.me_stable())`,
      `app.is_mine(owner)`, `(select app.is_mine(owner))`, `team in (select app.my_teams())`, `team = any (array(select app.my_teams()))`, `app.in_team(team)`,
      `doc ->> 'owner' = ${SUB}`, `doc @> '{"open": true}'`, `pg_has_role(current_user, 'ROLE2', 'usage')`, 'items.id < 6', `current_user = 'ROLE0'`,
    ), // biome-ignore format: a list
    fc.integer({ min: 0, max: 9 }).map(k => `v > ${k}`),
  ),
  all: fc.oneof(
    { weight: 3, arbitrary: tie('one') },
    {
      weight: 1,
      arbitrary: fc
        .tuple(tie('one'), fc.constantFrom('and', 'or'), tie('all'))
        .map(([a, op, b]) => `(${a} ${op} ${b})`),
    },
    { weight: 1, arbitrary: tie('one').map(a => `not (${a})`) },
  ),
})).all

/** The server evaluates these itself, if all policies of a role are such ones. */
const plain = fc.constantFrom(
  'true', 'false', `owner = ${SUB}`, `owner = (select ${SUB})`, `${SUB} = 'ann'`, `team = ${claim('team')}::int`,
  `owner = ${SUB} or team = ${claim('team')}::int`, `(owner = ${SUB} or ${claim('admin')} = 'true') and v = ${claim('level')}::int`,
) // biome-ignore format: a list

const policyOf = (using: fc.Arbitrary<string>) =>
  fc.record({
    isPermissive: fc.constantFrom(true, true, false),
    command: fc.constantFrom('all', 'select', 'select', 'update', 'insert'),
    to: fc.constantFrom('public', 'public', 'ROLE0', 'ROLE1', 'ROLE2'),
    using,
  })

const owner = fc.constantFrom(`'ann'`, `'bob'`, `'o''neil'`, 'null')
const number = fc.integer({ min: 0, max: 9 })
/**
 * No JSON null, because a null that decides whether a row is visible hides the row (see row-access.test.ts).
 */
const doc = fc.constantFrom('null', `'{}'`, `'{"owner": "ann"}'`, `'{"owner": "bob", "open": true}'`, `'[1]'`)
const id = fc.integer({ min: 1, max: 8 })
const row = fc.tuple(id, owner, number, number, doc).map(values => `(${values.join(', ')})`)
const statement = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .array(row, { minLength: 1, maxLength: 3 })
      .map(rows => `insert into items values ${rows.join(', ')} on conflict do nothing`),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(owner, id).map(([o, i]) => `update items set owner = ${o} where id = ${i}`),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(number, number, id)
      .map(([v, t, i]) => `update items set v = ${v}, team = ${t} % 3 where id >= ${i}`),
  },
  { weight: 1, arbitrary: fc.tuple(doc, id).map(([d, i]) => `update items set doc = ${d} where id <= ${i}`) },
  {
    weight: 1,
    arbitrary: id.map(
      i =>
        `update items set id = id + 10 where id = ${i} and not exists (select from items where id = ${i} + 10)`,
    ),
  },
  { weight: 2, arbitrary: id.map(i => `delete from items where id = ${i}`) },
  { weight: 1, arbitrary: id.map(i => `delete from items where id > ${i}`) },
)

const where = fc.constantFrom(
  {},
  {},
  { v: { gt: 4 } },
  { owner: { eq: 'ann' } },
  { team: { isNull: false }, v: { in: [1, 2, 3] } },
)

const scene = fc.record({
  policies: fc.oneof(
    { weight: 1, arbitrary: fc.array(policyOf(condition), { maxLength: 5 }) },
    { weight: 2, arbitrary: fc.array(policyOf(plain), { minLength: 1, maxLength: 5 }) },
  ),
  isForced: fc.boolean(),
  teams: fc.array(fc.tuple(fc.integer({ min: 0, max: 3 }), owner), { maxLength: 5 }),
  statements: fc.array(statement, { minLength: 4, maxLength: 14 }),
  where,
})

type Shown = ReadonlyMap<unknown, string>

/** The rows of the table that a viewer sees now, by key. */
async function shownTo(viewer: Viewer): Promise<Shown> {
  const rows = await roles.asViewer(viewer, 'select id, items.*::text as r from public.items')
  return new Map(rows.map(({ id: key, r }) => [key, r as string]))
}

function since(changes: readonly RowChange[], start: Position): string[] {
  return changes.filter(({ position }) => comparePositions(position, start) > 0).map(changeWords)
}

async function shownToAll(): Promise<Shown[]> {
  const all: Shown[] = []
  for (const viewer of viewers) all.push(await shownTo(viewer))
  return all
}

/** `UPDATE 3: (old) -> (new)` */
function changeWords({ operation, key, old, row: now }: RowChange): string {
  const one = (image: RowImage | null) =>
    image && JSON.stringify(['id', 'owner', 'team', 'v', 'doc'].map(name => image.get(name)))
  return `${operation} ${key?.get('id')}: ${one(old)} -> ${one(now)}`
}

it('the server delivers what select shows before and after each change: live, joined half-way and replayed', async () => {
  let delivered = 0
  let hidden = 0
  await fc.assert(
    fc.asyncProperty(scene, async ({ policies, isForced, teams, statements, where: input }) => {
      const filter = parseFilter(new Map(table.columns.map(column => [column.name, column])), input)
      const matches = toPredicate(filter)
      await admin(
        `do $$ declare p name; begin for p in select polname from pg_policy where polrelid = 'items'::regclass loop execute format('drop policy %I on items', p); end loop; end $$`,
      )
      await admin(
        `delete from items; delete from teams; alter table items enable row level security, ${isForced ? 'force' : 'no force'} row level security`,
      )
      for (const [team, member] of teams) await admin(`insert into teams values (${team}, ${member})`)
      for (const [i, { isPermissive, command, to, using }] of policies.entries()) {
        const named = (text: string) => text.replace(/ROLE(\d)/g, (_, n) => roleNames[n] as string)
        const check = command === 'insert' ? 'with check' : 'using'
        await admin(
          `create policy p${i} on items as ${isPermissive ? 'permissive' : 'restrictive'} for ${command} to ${named(to)} ${check} (${named(using)})`,
        )
      }
      const everything = await staged.follow(table, undefined)
      const followings = await Promise.all(viewers.map(viewer => staged.follow(table, viewer, { filter })))
      await everything.level()
      const begun = await staged.end()
      const joined = new Map<Viewer, { following: Awaited<ReturnType<Staged['follow']>>; start: Position }>()
      const expected = new Map<Viewer, { position: Position; text: string }[]>(
        viewers.map(viewer => [viewer, []]),
      )
      let before = await shownToAll()
      for (const [s, sql] of statements.entries()) {
        if (s === Math.floor(statements.length / 2)) {
          for (const viewer of viewers) {
            const following = await staged.follow(table, viewer, { filter })
            joined.set(viewer, { following, start: following.replay.start() })
          }
        }
        const known = everything.changes.length
        await admin(sql)
        await everything.level()
        const after = await shownToAll()
        for (const change of everything.changes.slice(known)) {
          const key = change.key?.get('id')
          for (const [i, viewer] of viewers.entries()) {
            const old = before[i]?.has(key) ? change.old : null
            const now = after[i]?.has(key) ? change.row : null
            const filtered = now && matches(now) ? now : null
            if (!filtered && !(old && matches(old))) {
              hidden++
              continue
            }
            delivered++
            expected.get(viewer)?.push({
              position: change.position,
              text: changeWords({ ...change, key: now ?? old, old, row: filtered }),
            })
          }
        }
        before = after
      }
      for (const [i, viewer] of viewers.entries()) {
        const wanted = expected.get(viewer) ?? []
        const following = followings[i] as Awaited<ReturnType<Staged['follow']>>
        await following.level()
        expect(following.ended).toBeUndefined()
        const from = (start: Position) =>
          wanted.filter(({ position }) => comparePositions(position, start) > 0).map(({ text }) => text)
        expect([viewer.claims, ...since(following.changes, begun)]).toEqual([viewer.claims, ...from(begun)])
        const late = joined.get(viewer)
        await late?.following.level()
        if (late) expect(since(late.following.changes, late.start)).toEqual(from(late.start))
        expect((await staged.replay(table, viewer, begun, { filter })).map(changeWords)).toEqual(from(begun))
        const middle = wanted[wanted.length >> 1]?.position
        if (middle)
          expect((await staged.replay(table, viewer, middle, { filter })).map(changeWords)).toEqual(
            from(middle),
          )
      }
      for (const { stop } of [
        ...followings,
        ...[...joined.values()].map(({ following }) => following),
        everything,
      ])
        stop()
    }),
    { numRuns: 25, endOnFailure: true },
  )
  // The test would prove nothing if every row were shown, or none.
  expect(delivered).toBeGreaterThan(10)
  expect(hidden).toBeGreaterThan(10)
  expect(pagesDecided).toBeGreaterThan(0)
}, 240_000)
