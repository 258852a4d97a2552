import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { claimsOf, type Viewer } from '../../../src/auth/viewer.js'
import type { WatchedTable } from '../../../src/catalog/watched-table.js'
import type { LiveQueries } from '../../../src/live/live-contract.js'
import { createLiveQueries } from '../../../src/live/live-queries.js'
import type { Plan } from '../../../src/plan/plan.js'
import { hasSqlState, SQL_STATE } from '../../../src/postgres/sql-state.js'
import { createPolicyWatch, type PolicyWatch } from '../../../src/rls/reads/policy-watch.js'
import { createViewerPolicies, type ViewerPolicies } from '../../../src/server/viewer-policies.js'
import type { Snapshot } from '../../../src/snapshots/snapshot-request.js'
import { createSnapshots, type Snapshots } from '../../../src/snapshots/snapshots.js'
import { PLAIN } from '../../support/cursors.js'
import { createStaged, type Staged } from '../../support/staged.js'
import { createViewerRoles, type ViewerRoles, viewerOf } from '../../support/viewers.js'
import { waitUntil } from '../../support/wait.js'
import { createWatchedLog, type WatchedLog } from '../../support/watched-log.js'
import { anyPlanOf, createPlanTables } from './arbitrary-plans.js'
import { shownRows } from './model.js'

/*
 * Random live queries of viewers under random policies, which read other tables, views and functions, while writers write and policies
 * change. At rest, each result must equal a fresh read under the viewer's role and claims.
 */

let watched: WatchedLog
let roles: ViewerRoles
let staged: Staged
let snapshots: Snapshots
let queries: LiveQueries
let policies: ViewerPolicies
let watch: PolicyWatch
let pool: pg.Pool
let tables: Map<string, WatchedTable>
let viewers: Viewer[]
let reads = 0

const admin = (sql: string) => watched.log.database.query(sql)
const SUB = `(current_setting('request.jwt.claims', true)::json ->> 'sub')`

beforeAll(async () => {
  watched = await createWatchedLog()
  roles = createViewerRoles(watched)
  const [one, two] = [await roles.add('one'), await roles.add('two')]
  tables = await createPlanTables(watched)
  await watched.table('org numeric, person text, level int, note text', 'members')
  await watched.table('id int, at date, level int', 'days')
  await admin(`alter role ${watched.server.name} bypassrls;
    alter table members enable row level security;
    create policy m on members to ${one} using (true);
    create policy m2 on members to ${two} using (level < 3 or exists (select from public.days d where d.level = members.level));
    create schema app; grant usage on schema app to public;
    create view app.levels as select distinct level from public.members;
    create function app.sub() returns text language sql stable as $$ select current_setting('request.jwt.claims', true)::json ->> 'sub' $$;
    create function app.declared(o numeric) returns boolean language plpgsql security definer set search_path = public as
      $$ begin return exists (select from members m where m.org = o and m.person = current_setting('request.jwt.claims', true)::json ->> 'sub'); end $$;
    comment on function app.declared(numeric) is '@listenql reads public.members';
    create function app.nothing() returns boolean language plpgsql stable as $$ begin return false; end $$;
    comment on function app.nothing() is '@listenql reads nothing';
    create function app.my_orgs() returns setof numeric language sql stable ${await body('select org from public.members where person = app.sub()')};
    comment on function app.my_orgs() is ${await declaration('public.members')};
    grant select on people, teams, tasks, tags, members, days, app.levels to ${one}, ${two};
    insert into members select i % 4, chr(97 + i % 2), i % 5, null from generate_series(1, 6) i;
    insert into days select i, '2026-01-01', i from generate_series(1, 3) i`)
  viewers = [viewerOf(one, { sub: 'a' }), viewerOf(one, { sub: 'b', jti: 'x' }), viewerOf(two, { sub: 'a' })]
  staged = await createStaged(watched)
  staged.tables.switchTo(
    [...tables.values(), await watched.find('members'), await watched.find('days')],
    true,
  )
  snapshots = createSnapshots({
    config: watched.server.config,
    connectTimeout: 5000,
    queryTimeout: 20_000,
    keepsPrepared: true,
    cursors: PLAIN,
  })
  pool = new pg.Pool({ ...watched.server.config, max: 1 })
  watch = createPolicyWatch({ pool, maxAge: 0, keepsPrepared: true })
  policies = createViewerPolicies({ watch, tableOf: staged.tables.tableOf })
  queries = createLiveQueries({
    snapshots: {
      read: (...args) => {
        reads++
        return snapshots.read(...args)
      },
    },
    follow: staged.tables.follow,
    position: () => undefined,
    checkVisibility: staged.rowAccess.checkVisibility,
    minAsked: 1,
    observe: observation =>
      observation.type === 'live.read' || expect.unreachable(JSON.stringify(observation)),
  })
})
afterAll(async () => {
  queries?.close()
  await pool?.end()
  await snapshots?.close()
  await staged?.close()
  await roles?.close()
  await watched?.close()
})

/** Where bodies are not parsed, a comment says what they read. */
async function declaration(tables: string): Promise<string> {
  return (await hasParsedBodies()) ? 'null' : `'@listenql reads ${tables}'`
}

async function hasParsedBodies(): Promise<boolean> {
  const [version] = await admin(`select current_setting('server_version_num')::int as n`)
  return Number(version?.n) >= 140_000
}

/** PostgreSQL has parsed bodies from 14 on. */
async function body(select: string): Promise<string> {
  return (await hasParsedBodies()) ? `begin atomic ${select}; end` : `as $$ ${select} $$`
}

/** Conditions by table. None reads a table whose own policies lead back to it. */
const CONDITIONS = {
  people: ['true', 'age % 2 = 0', 'score > 1 or boss is null', `org in (select app.my_orgs())`, `name = app.sub() or mood is null`,
    `exists (select from public.members m where m.org = people.org and m.person = ${SUB})`, `age in (select level from app.levels)`,
    `app.declared(org)`, `row_to_json(people)::text like '%ok%'`, `team_no in (select no from public.teams where name is not null)`],
  teams: ['true', `name is not null`, `org in (select org from public.members where person = ${SUB})`, `exists (select from public.days)`],
  tasks: ['true', 'owner % 3 > 0', `owner in (select id from public.people)`, `exists (select from public.days d where d.id = tasks.owner)`, `due > '2026-01-02'`],
  tags: ['true', 'weight < 2', `task in (select id from public.tasks)`, `weight in (select level from app.levels)`],
} // biome-ignore format: a table

type PolicyOf = {
  readonly table: keyof typeof CONDITIONS
  readonly using: string
  readonly to: number
  readonly isRestrictive: boolean
}

const anyPolicy: fc.Arbitrary<PolicyOf> = fc
  .constantFrom(...(Object.keys(CONDITIONS) as (keyof typeof CONDITIONS)[]))
  .chain(table =>
    fc.record({
      table: fc.constant(table),
      using: fc.constantFrom(...CONDITIONS[table]),
      to: fc.nat(2),
      isRestrictive: fc.boolean(),
    }),
  )

/** Every table has a policy for all, so that rows show. `impose` adds one that may read the token, so that it does so all the time. */
const anyPolicies: fc.Arbitrary<readonly PolicyOf[]> = fc
  .tuple(
    ...(Object.keys(CONDITIONS) as (keyof typeof CONDITIONS)[]).map(table =>
      fc
        .constantFrom(...CONDITIONS[table])
        .map((using): PolicyOf => ({ table, using, to: 2, isRestrictive: false })),
    ),
    fc.array(anyPolicy, { maxLength: 3 }),
  )
  .map(parts => parts.flat() as PolicyOf[])

async function impose(all: readonly PolicyOf[]): Promise<void> {
  const names = viewers.map(({ role }) => role as string)
  const to = [names[0], names[2], 'public']
  await persist(() =>
    admin(`rollback; begin;
    do $$ declare p record; begin for p in select polname, polrelid::regclass as t from pg_policy where polname like 'p_' loop execute format('drop policy %I on %s', p.polname, p.t); end loop; end $$;
    ${Object.keys(CONDITIONS)
      .map(table => `create policy pn on ${table} for select using (app.nothing());`)
      .join('\n')}
    ${all.map(({ table, using, to: i, isRestrictive }, n) => `alter table ${table} enable row level security; create policy p${n} on ${table} as ${isRestrictive ? 'restrictive' : 'permissive'} for select to ${to[i]} using (${using});`).join('\n')}
    commit`),
  )
}

/** Repeats a transaction that Postgres ended because writers and DDL waited for each other in a circle. It begins with ROLLBACK. */
async function persist(run: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await run()
      return
    } catch (error) {
      if (!hasSqlState(error, SQL_STATE.deadlockDetected)) throw error
    }
  }
}

const small = fc.integer({ min: 0, max: 14 })
const statement: fc.Arbitrary<string> = fc.oneof(
  fc.tuple(small, small).map(([i, level]) => `insert into members values (${i % 4}, '${'abc'[level % 3]}', ${level % 6}, null)`),
  fc.tuple(small, small).map(([i, level]) => `update members set level = ${level % 6} where org = ${i % 4}`),
  fc.tuple(small, small).map(([i, j]) => `update members set org = ${i % 4}.00 where level = ${j % 6}`),
  small.map(i => `update members set person = '${'abc'[i % 3]}' where level = ${i % 5}`),
  small.map(i => `update members set note = 'n${i}'`),
  small.map(i => `delete from members where level = ${i % 6}`),
  small.map(i => `insert into days values (${i % 9}, '2026-01-01', ${i % 6})`),
  small.map(i => `update days set id = ${i % 9}, at = '2026-02-02' where level = ${i % 6}`),
  small.map(i => `delete from days where id = ${i % 9}`),
  fc.constantFrom('truncate days', 'truncate members'),
  fc.tuple(small, small).map(([id, age]) => `update people set age = ${age % 9} where id = ${id}`),
  fc.tuple(small, small).map(([id, age]) => `update people set score = ${age / 4}, org = ${age % 4} where id % 4 = ${id % 4}`),
  fc.tuple(small, small).map(([id, boss]) => `update people set boss = nullif(${boss}, 0), mood = 'ok' where id = ${id}`),
  fc.tuple(small, small).map(([id, name]) => `update people set name = '${'abz'[name % 3]}' where id = ${id}`),
  small.map(id => `insert into people values (${id}, null, ${id % 4}, ${id % 3}, 'a', ${id % 9}, 1.5, 'ok') on conflict do nothing`),
  small.map(id => `delete from people where id = ${id}`),
  fc.tuple(small, small).map(([id, owner]) => `update tasks set owner = ${owner}, due = date '2026-01-01' + ${id % 4} where id = ${id}`),
  fc.tuple(small, small).map(([no, name]) => `update teams set name = ${name % 2 ? 'null' : `'n${name}'`} where no = ${no % 4}`),
  fc.tuple(small, small).map(([task, weight]) => `update tags set weight = ${weight % 4} where task = ${task}`),
  fc.tuple(small, small).map(([task, weight]) => `insert into tags values (${task}, 'x1', ${weight % 4})`),
) // biome-ignore format: a table

const round = fc.record({
  writes: fc.array(fc.array(statement, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 }),
  // Seldom, since every query is read again after a change of its policies.
  policies: fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: anyPolicies }),
})

it('the results of live queries equal fresh reads under role and claims whenever the writers rest', async () => {
  let compared = 0
  let results = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(anyPlanOf(tables), fc.nat(2)), { minLength: 6, maxLength: 6 }),
      anyPolicies,
      fc.array(round, { minLength: 3, maxLength: 6 }),
      async (plans, first, rounds) => {
        await impose(first)
        const open = await Promise.all(
          plans.map(([plan, i]) => follow(plan, viewers[i] as Viewer, () => results++)),
        )
        try {
          for (const { writes, policies: next } of rounds) {
            await Promise.all([...writes.map(write), next ? impose(next) : undefined])
            await watch.review()
            await staged.end()
            await waitUntil(() => open.every(one => one.isSettled()), 'the queries to be read')
            for (const { plan, as, latest } of open) {
              const fresh = await snapshots.read(plan, as)
              expect(shownRows(plan.root, latest()?.rows ?? [])).toEqual(shownRows(plan.root, fresh.rows))
              compared++
            }
          }
        } finally {
          for (const { stop } of open) stop()
        }
      },
    ),
    { numRuns: 8, endOnFailure: true },
  )
  console.info({ compared, results, reads })
  expect(results).toBeGreaterThan(compared / 4)
}, 300_000)

async function write(statements: readonly string[]): Promise<void> {
  await persist(() => watched.log.query(`rollback; begin; ${statements.join('; ')}; commit`))
}

async function follow(plan: Plan, viewer: Viewer, onResult: () => void) {
  const results: Snapshot[] = []
  const known = await policies.assert(viewer, plan)
  const held = policies.hold(known, plan, error => expect.unreachable(error.message))
  await held.ready
  const as = { viewer: { ...known, claims: claimsOf(known) } }
  const { close: stop } = queries.open(
    { live: queries.prepare(plan, as), as, every: 0, policies: held.policies },
    {
      result(snapshot) {
        results.push(snapshot)
        onResult()
      },
      end: error => expect.unreachable(`${error.message} ${error.cause}`),
    },
  )
  return {
    plan,
    as,
    latest: () => results.at(-1),
    stop() {
      stop()
      held.stop()
    },
    isSettled: () => results.length > 0 && queries.isSettled(),
  }
}
