import type pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { WatchedTable } from '../../src/catalog/watched-table.js'
import type { RowChange } from '../../src/sources/tables/row-change.js'
import { createStaged, type Following, type Staged } from '../support/staged.js'
import { createViewerRoles, type ViewerRoles, viewerOf } from '../support/viewers.js'
import { waitUntil } from '../support/wait.js'
import { createWatchedLog, type WatchedLog } from '../support/watched-log.js'

let watched: WatchedLog
let roles: ViewerRoles
let role: string
let slow: WatchedTable
let quick: WatchedTable
let staged: Staged
/** Holds the lock that the policies wait for. */
let owner: pg.Client

const SUB = `current_setting('request.jwt.claims')::json ->> 'sub'`
const admin = (sql: string) => watched.log.database.query(sql)
const me = (sub: string) => viewerOf(role, { sub })
const ids = (changes: readonly RowChange[]) => changes.map(({ key }) => key?.get('id'))
const has = (following: Following, count: number) =>
  waitUntil(() => following.changes.length >= count, `${count} changes`)
const waits = () =>
  waitUntil(
    async () =>
      (
        await admin(`select from pg_stat_activity where datname = current_database()
          and application_name = 'listenql policies' and wait_event_type = 'Lock'`)
      ).length > 0,
    'a policy to wait',
  )

beforeAll(async () => {
  watched = await createWatchedLog()
  roles = createViewerRoles(watched)
  role = await roles.add('viewer')
  await watched.table('id int primary key', 'slow')
  await watched.table('id int primary key', 'quick')
  await admin(`grant select on slow, quick to ${role}; alter table slow enable row level security;
    alter table quick enable row level security; create policy p on quick using (${SUB} is not null);
    create table members (member text); grant select on members to ${role};
    create function public.patient(member text) returns boolean language plpgsql stable as $$
    begin if member like 'slow%' then perform pg_catalog.pg_advisory_xact_lock_shared(7); end if; return true; end $$`)
  slow = await watched.find('slow')
  quick = await watched.find('quick')
  owner = await watched.log.connect({ connectionString: watched.log.database.adminUrl })
})
beforeEach(async () => {
  await admin(`delete from slow; delete from quick; drop policy if exists p on slow`)
})
afterEach(async () => {
  await owner.query('rollback')
  await staged?.close()
})
afterAll(async () => {
  await roles?.close()
  await watched?.close()
})

async function start(using: string, more: Parameters<typeof createStaged>[1] = {}): Promise<Staged> {
  await admin(`create policy p on slow using (${using})`)
  staged = await createStaged(watched, more)
  staged.tables.switchTo([slow, quick], true)
  await staged.end()
  return staged
}

const LOCKED = `exists (select from members) or ${SUB} is not null`
const PATIENT = `public.patient(${SUB})`

describe('a table whose policies wait for a lock', () => {
  it('delays only its own changes: changes of other tables arrive', async () => {
    const { follow } = await start(LOCKED)
    const [held, other] = [await follow(slow, me('a')), await follow(quick, me('a'))]
    await owner.query('begin; lock members')
    await admin('insert into slow values (1)')
    await waits()
    for (let id = 1; id <= 3; id++) {
      await admin(`insert into quick values (${id}); insert into slow values (${id + 1})`)
      await has(other, id)
    }
    expect(held.changes).toEqual([])
    await owner.query('rollback')
    await held.level()
    expect(ids(held.changes)).toEqual([1, 2, 3, 4])
    expect(ids(other.changes)).toEqual([1, 2, 3])
  })

  it('leaves a connection to other tables, even if all its viewers wait', async () => {
    const { follow } = await start(LOCKED)
    const all = await Promise.all(Array.from({ length: 20 }, (_, i) => follow(slow, me(`v${i}`))))
    const other = await follow(quick, me('a'))
    await owner.query('begin; lock members')
    await admin('insert into slow values (1)')
    await waits()
    await admin('insert into quick values (1)')
    await has(other, 1)
    await owner.query('rollback')
    for (const following of all) {
      await following.level()
      expect(ids(following.changes)).toEqual([1])
    }
  })
})

describe('a viewer whose policies wait for a lock', () => {
  it('waits alone: other viewers of the table get its changes, and the viewer gets all changes after the wait', async () => {
    const { follow } = await start(PATIENT)
    const [held, ann, bob] = [
      await follow(slow, me('slow')),
      await follow(slow, me('ann')),
      await follow(slow, me('bob')),
    ]
    const before = held.replay.position()
    await owner.query('begin; select pg_advisory_xact_lock(7)')
    for (let id = 1; id <= 3; id++) {
      await admin(`insert into slow values (${id})`)
      await Promise.all([has(ann, id), has(bob, id)])
    }
    await waits()
    await ann.level()
    expect(held.changes).toEqual([])
    expect(held.replay.position()).not.toEqual(ann.replay.position())
    // A position to resume from: every event up to it was delivered.
    const at = held.replay.position()
    await owner.query('rollback')
    await held.level()
    expect([held, ann, bob].map(({ changes }) => ids(changes))).toEqual([
      [1, 2, 3],
      [1, 2, 3],
      [1, 2, 3],
    ])
    expect(ids(await staged.replay(slow, me('slow'), at))).toEqual([1, 2, 3])
    expect(ids(await staged.replay(slow, me('slow'), before))).toEqual([1, 2, 3])
    await admin('insert into slow values (4)')
    await Promise.all([held.level(), ann.level()])
    expect(ids(held.changes)).toEqual([1, 2, 3, 4])
    expect(held.replay.position()).toEqual(ann.replay.position())
  })

  it('waits alone, regardless of the number of such viewers and of connections', async () => {
    const { follow } = await start(PATIENT, { access: { connections: 1, policyTimeout: 400 } })
    const held = await Promise.all(Array.from({ length: 40 }, (_, i) => follow(slow, me(`slow${i}`))))
    const [ann, other] = [await follow(slow, me('ann')), await follow(quick, me('slow0'))]
    await owner.query('begin; select pg_advisory_xact_lock(7)')
    for (let id = 1; id <= 5; id++) {
      await admin(`insert into slow values (${id}); insert into quick values (${id})`)
      await Promise.all([has(ann, id), has(other, id)])
    }
    expect(held.flatMap(({ changes }) => changes)).toEqual([])
    await owner.query('rollback')
    for (const following of held) {
      await following.level()
      expect(ids(following.changes)).toEqual([1, 2, 3, 4, 5])
    }
  })

  it('waits alone when it resumes', async () => {
    const { replay, end } = await start(PATIENT)
    const begun = await end()
    await admin('insert into slow values (1)')
    await end()
    await owner.query('begin; select pg_advisory_xact_lock(7)')
    const held = replay(slow, me('slow'), begun)
    const ann = replay(slow, me('ann'), begun)
    expect(ids(await ann)).toEqual([1])
    await owner.query('rollback')
    expect(ids(await held)).toEqual([1])
  })
})

describe('the backlog of a viewer', () => {
  it('is bounded: beyond the limit its subscriptions end and can resume after the last cursor; other viewers continue', async () => {
    const { follow, replay } = await start(PATIENT, { maxWaiting: 300 })
    const [held, again, ann] = [
      await follow(slow, me('slow')),
      await follow(slow, me('slow')),
      await follow(slow, me('ann')),
    ]
    const begun = held.replay.position()
    await owner.query('begin; select pg_advisory_xact_lock(7)')
    await admin('insert into slow values (0)')
    await has(ann, 1)
    for (let at = 1; at <= 601; at += 100) {
      await admin(`insert into slow select * from generate_series(${at}, ${at + 99})`)
      await ann.level()
    }
    await waitUntil(() => held.ended && again.ended, 'its subscriptions to end')
    expect([held.ended?.code, again.ended?.code, ann.ended]).toEqual([
      'QUERY_TIMEOUT',
      'QUERY_TIMEOUT',
      undefined,
    ])
    await owner.query('rollback')
    expect(ids(ann.changes)).toEqual(Array.from({ length: 701 }, (_, i) => i))
    expect(ids(await replay(slow, me('slow'), begun))).toEqual(ids(ann.changes))
    const anew = await follow(slow, me('slow'))
    await admin('insert into slow values (-1)')
    await Promise.all([anew.level(), ann.level()])
    expect([ids(anew.changes), ann.changes.length]).toEqual([[-1], 702])
  })

  it('delays a schema change, and therefore the log, only briefly', async () => {
    const { follow, tables } = await start(PATIENT)
    const [held, ann] = [await follow(slow, me('slow')), await follow(slow, me('ann'))]
    await owner.query('begin; select pg_advisory_xact_lock(7)')
    await admin('insert into slow values (1)')
    await has(ann, 1)
    await tables.settled()
    expect(tables.settled()).toBeUndefined()
    expect([held.ended?.code, held.changes, ann.ended]).toEqual(['QUERY_TIMEOUT', [], undefined])
  })
})

describe('regardless of how long policies take', () => {
  it('each viewer gets exactly the rows that it may see, once and in order, and its position matches', async () => {
    const rounds = 25
    const { follow, replay, end } = await start(
      `id % 3 <> length(${SUB}) % 3 and public.patient(case when id % 7 = 0 then ${SUB} end)`,
      { maxWaiting: 100_000, access: { policyTimeout: 20_000 } },
    )
    const subs = ['slow', 'slow2', 'ann', 'robert', 'eve', 'slowest']
    const begun = await end()
    const all: { sub: string; from: number; following: Following }[] = []
    const cuts: {
      sub: string
      from: number
      at: ReturnType<Following['replay']['position']>
      before: unknown[]
    }[] = []
    const join = async (sub: string, from: number) => {
      all.push({ sub, from, following: await follow(slow, me(sub)) })
    }
    for (const sub of subs) await join(sub, 1)
    let id = 0
    let isLocked = false
    for (let round = 0; round < rounds; round++) {
      if (round % 3 === 0) {
        await owner.query(isLocked ? 'rollback' : 'begin; select pg_advisory_xact_lock(7)')
        isLocked = !isLocked
      }
      const count = 1 + ((round * 37) % 120)
      await admin(`insert into slow select * from generate_series(${id + 1}, ${id + count})`)
      id += count
      // Read in one step: the delivered rows and the reported position.
      for (const { sub, from, following } of all)
        if ((round + sub.length) % 4 === 0)
          cuts.push({ sub, from, at: following.replay.position(), before: ids(following.changes) })
      if (round % 5 === 4) {
        await end()
        await join(subs[round % subs.length] as string, id + 1)
      }
    }
    if (isLocked) await owner.query('rollback')
    const visible = (sub: string, from: number) =>
      Array.from({ length: id }, (_, i) => i + 1).filter(n => n >= from && n % 3 !== sub.length % 3)
    for (const { sub, from, following } of all) {
      await following.level()
      expect(ids(following.changes)).toEqual(visible(sub, from))
    }
    for (const sub of subs) expect(ids(await replay(slow, me(sub), begun))).toEqual(visible(sub, 1))
    for (const { sub, from, at, before } of cuts) {
      const rest = ids(await replay(slow, me(sub), at))
      expect([...before, ...rest]).toEqual(visible(sub, from))
    }
  })
})
