import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Viewer } from '../../../src/auth/viewer.js'
import type { WatchedTable } from '../../../src/catalog/watched-table.js'
import type { Filter } from '../../../src/filters/index.js'
import { createDeferred, type Deferred } from '../../../src/lib/deferred.js'
import type { RowChange } from '../../../src/sources/tables/row-change.js'
import { createStaged, type Following, type Staged } from '../../support/staged.js'
import { createViewerRoles, type ViewerRoles, viewerOf } from '../../support/viewers.js'
import { waitUntil } from '../../support/wait.js'
import { createWatchedLog, type WatchedLog } from '../../support/watched-log.js'

let watched: WatchedLog
let roles: ViewerRoles
let role: string
let group: string
let table: WatchedTable
let staged: Staged
/** The subs of the viewers about whom the database was asked. */
let asked: string[] = []
/** Holds conditions that have been read. */
let gate: Deferred | undefined
let held = 0
/** How often conditions were read. */
let reads = 0

beforeAll(async () => {
  watched = await createWatchedLog()
  roles = createViewerRoles(watched)
  role = await roles.add('viewer')
  group = await roles.add('group')
})
beforeEach(async () => {
  table = await watched.table('id int primary key, owner text, other text', 'items')
  await admin(`grant select on items to ${role}; alter table items enable row level security;
    create policy p on items using (owner = ${SUB})`)
  staged = await createStaged(watched, {
    checkVisibility: sees => (of, viewers, images, signal) => {
      asked.push(...viewers.map(({ claims }) => String(claims.sub)))
      return sees(of, viewers, images, signal)
    },
    readConditions: read => (of, some, signal) => {
      const conditions = read(of, some, signal)
      if (conditions) reads++
      if (!gate || !conditions) return conditions
      const { promise } = gate
      held++
      return conditions.then(found => promise.then(() => found))
    },
  })
  staged.tables.switchTo([await watched.find('items')], true)
  await staged.end()
})
afterEach(async () => {
  gate?.resolve()
  gate = undefined
  await staged.close()
  await admin('drop table items; grant execute on function pg_catalog.json_object_field_text to public')
})
afterAll(async () => {
  await roles.close()
  await watched.close()
})

const SUB = `(current_setting('request.jwt.claims')::json ->> 'sub')`
const admin = (sql: string) => watched.log.database.query(sql)
const me = (sub: string, more: Viewer['claims'] = {}) => viewerOf(role, { sub, ...more })
const words = (changes: readonly RowChange[]) =>
  changes.map(({ operation, row, old }) => [operation[0], old?.get('owner'), row?.get('owner')].join(' '))

/** Follows as each of these viewers, once their policies have been read. */
async function followAll(...subs: readonly string[]): Promise<Following[]> {
  for (const sub of subs) await staged.rowAccess.probe(table, me(sub))
  const all = await Promise.all(subs.map(sub => staged.follow(table, me(sub))))
  asked = []
  return all
}

/** What each has received since the last call, once all that is committed has been delivered. */
function createReader(followings: readonly Following[]) {
  const from = followings.map(() => 0)
  return async () => {
    await Promise.all(followings.map(({ level }) => level()))
    return followings.map(({ changes, ended }, i) => {
      const next = ended ? ended.code : words(changes.slice(from[i]))
      from[i] = changes.length
      return next
    })
  }
}

describe('where policies only compare a column with a claim', () => {
  it('the server decides, and the database is not asked', async () => {
    const read = createReader(await followAll('ann', 'bob', 'cat'))
    await admin(`insert into items values (1, 'ann'), (2, 'bob'), (3, null)`)
    await admin(`update items set owner = 'bob' where id = 1; update items set other = 'x' where id = 2`)
    await admin(`delete from items where id = 2; truncate items`)
    expect(await read()).toEqual([
      ['I  ann', 'U ann ', 'T  '],
      ['I  bob', 'U  bob', 'U bob bob', 'D bob ', 'T  '],
      ['T  '],
    ])
    expect(asked).toEqual([])
  })

  it('the database is asked about viewers whose claims it may fail on', async () => {
    await admin(
      `alter policy p on items using (id = (current_setting('request.jwt.claims')::json ->> 'n')::int)`,
    )
    for (const n of ['1', 'x']) await staged.rowAccess.probe(table, me(n))
    const followings = [
      await staged.follow(table, me('sure', { n: '1' })),
      await staged.follow(table, me('zeros', { n: '001' })),
      await staged.follow(table, me('odd', { n: '1', more: '\0' })),
      await staged.follow(table, me('text', { n: 'x' })),
      await staged.follow(table, me('none')),
    ]
    asked = []
    await admin(`insert into items values (1, 'ann'), (2, 'bob')`)
    expect(await createReader(followings)()).toEqual([['I  ann'], ['I  ann'], 'FORBIDDEN', 'FORBIDDEN', []])
    expect([...new Set(asked)].sort()).toEqual(['odd', 'text', 'zeros'])
  })

  it('the policies are read only if an event may concern a subscription by its filter', async () => {
    await staged.rowAccess.probe(table, me('ann'))
    const column = table.columns.find(({ name }) => name === 'other') as (typeof table.columns)[0]
    const filter: Filter = { kind: 'compare', operator: 'eq', column, operand: { key: 'x', text: 'x' } }
    const followings = [
      await staged.follow(table, me('ann'), { filter }),
      await staged.follow(table, me('bob'), { filter }),
    ]
    const read = createReader(followings)
    reads = 0
    await admin(`insert into items values (1, 'ann', 'y'), (2, 'bob', null); update items set owner = 'ann'`)
    expect([await read(), reads]).toEqual([[[], []], 0])
    await admin(`update items set other = 'x' where id = 1`)
    expect([await read(), reads]).toEqual([[['U ann ann'], []], 1])
    await admin(`alter policy p on items using (true); update items set other = 'y'`)
    expect([await read(), reads]).toEqual([[['U ann '], ['U ann ']], 2])
    const all = await staged.follow(table, me('cat'))
    await admin('delete from items')
    await all.level()
    expect([words(all.changes), await read(), reads]).toEqual([['D ann ', 'D ann '], [[], []], 3])
    all.stop()
    await admin(`insert into items values (4, 'ann', 'y')`)
    expect([await read(), reads]).toEqual([[[], []], 3])
    await admin('truncate items')
    expect([await read(), reads]).toEqual([[['T  '], ['T  ']], 4])
  })

  it('a subscription that resumes needs no question either, and gets the same', async () => {
    const [ann] = await followAll('ann', 'bob')
    const start = await staged.end()
    await admin(`insert into items values (1, 'ann'), (2, 'bob'); update items set owner = 'ann'`)
    await ann?.level()
    const replayed = await staged.replay(table, me('ann'), start)
    expect(words(replayed)).toEqual(words(ann?.changes ?? []))
    expect(words(replayed)).toEqual(['I  ann', 'U ann ann', 'U  ann'])
  })
})

describe('a change of policies or rights applies to the next change of a row', () => {
  /** SQL, then what ann and bob see of the rows `ann`, `bob`; and whether the server decides. */
  const STEPS: readonly (readonly [string, string, string, boolean])[] = [
    ['alter policy p on items using (other = SUB)', '', '', true],
    ['alter policy p on items using (owner = SUB or true)', 'ann bob', 'ann bob', true],
    [`alter policy p on items using (owner = SUB or SUB = 'bob')`, 'ann', 'ann bob', true],
    ['alter policy p on items using (lower(owner) = SUB)', 'ann', 'bob', false],
    ['alter policy p on items using (owner = SUB)', 'ann', 'bob', true],
    [`create policy r on items as restrictive using (SUB = 'bob')`, '', 'bob', true],
    ['alter policy r on items to GROUP', 'ann', 'bob', true],
    ['grant GROUP to ROLE', '', 'bob', true],
    ['revoke GROUP from ROLE', 'ann', 'bob', true],
    ['drop policy r on items', 'ann', 'bob', true],
    ['create policy q on items for insert with check (false)', 'ann', 'bob', true],
    ['alter policy p on items to GROUP', '', '', false],
    ['alter policy p on items to public', 'ann', 'bob', true],
    ['alter table items disable row level security', 'ann bob', 'ann bob', false],
    ['alter table items enable row level security', 'ann', 'bob', true],
    ['alter table items owner to ROLE', 'ann bob', 'ann bob', false],
    ['alter table items force row level security', 'ann', 'bob', true],
    ['alter role ROLE bypassrls', 'ann bob', 'ann bob', false],
    ['alter role ROLE nobypassrls', 'ann', 'bob', true],
    ['alter policy p on items rename to z', 'ann', 'bob', true],
    [`alter role ROLE set search_path = public, pg_catalog; create function public.current_setting(text) returns text language sql as $$ select '{"sub": "ann"}' $$`, 'ann', 'bob', false],
    ['begin; set local search_path = public, pg_catalog; alter policy z on items using (owner = SUB); commit', 'ann', 'ann', false],
    ['alter policy z on items using (owner = SUB); alter role ROLE reset search_path; drop function public.current_setting', 'ann', 'bob', true],
    ['drop policy z on items', '', '', false],
    ['create policy p on items using (owner = SUB)', 'ann', 'bob', true],
    ['revoke execute on function pg_catalog.json_object_field_text from public', 'FORBIDDEN', 'FORBIDDEN', false],
  ] // biome-ignore format: a table

  it('whether the server or the database decides', async () => {
    const read = createReader(await followAll('ann', 'bob'))
    let id = 0
    const seen = async () => {
      await admin(`insert into items values (${++id}, 'ann'), (${++id}, 'bob')`)
      const all = await read()
      return all.map(one => (typeof one === 'string' ? one : one.map(word => word.slice(3)).join(' ')))
    }
    expect(await seen()).toEqual(['ann', 'bob'])
    for (const [sql, ann, bob, isDecided] of STEPS) {
      await admin(sql.replaceAll('SUB', SUB).replaceAll('ROLE', role).replaceAll('GROUP', group))
      asked = []
      expect([sql, await seen()]).toEqual([sql, [ann, bob]])
      asked = []
      if (ann !== 'FORBIDDEN')
        expect([sql, await seen(), asked.length === 0]).toEqual([sql, [ann, bob], isDecided])
    }
  })

  it('also if the conditions for earlier changes had been read before', async () => {
    const followings = await followAll('ann', 'bob')
    const everybody = await staged.follow(table, undefined)
    gate = createDeferred()
    held = 0
    await admin(`insert into items values (1, 'ann')`)
    await waitUntil(() => held > 0, 'conditions to be read')
    await staged.rowAccess.probe(table, me('ann')) // the read has ended, since reads take turns on the connections
    await admin(`alter policy p on items using (other = ${SUB}); insert into items values (2, 'ann', 'bob')`)
    await everybody.level()
    gate.resolve()
    gate = undefined
    expect(await createReader(followings)()).toEqual([['I  ann'], ['I  ann']])
    expect(followings.map(({ changes }) => changes.map(({ key }) => key?.get('id')))).toEqual([[1], [2]])
  })

  it('also to a change of a row in the same transaction', async () => {
    const read = createReader(await followAll('ann', 'bob'))
    await admin(
      `begin; insert into items values (1, 'ann', 'bob'); alter policy p on items using (other = ${SUB}); commit`,
    )
    expect(await read()).toEqual([[], ['I  ann']])
  })
})
