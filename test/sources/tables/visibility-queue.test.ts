import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Viewer } from '../../../src/auth/viewer.js'
import type { WatchedTable } from '../../../src/catalog/watched-table.js'
import { createDeferred, type Deferred } from '../../../src/lib/deferred.js'
import type { Position } from '../../../src/log/position.js'
import type { CheckVisibility } from '../../../src/rls/visibility.js'
import type { RowChange } from '../../../src/sources/tables/row-change.js'
import { createStaged, type Staged } from '../../support/staged.js'
import { createViewerRoles, type ViewerRoles, viewerOf } from '../../support/viewers.js'
import { waitUntil } from '../../support/wait.js'
import { createWatchedLog, type WatchedLog } from '../../support/watched-log.js'

let watched: WatchedLog
let roles: ViewerRoles
let role: string
let table: WatchedTable
let staged: Staged | undefined
/** Holds the answers of the policies until a test releases them. */
let gate: Deferred | undefined
let asked: string[][] = []

beforeAll(async () => {
  watched = await createWatchedLog()
  roles = createViewerRoles(watched)
  role = await roles.add('viewer')
  table = await watched.table('id int primary key, owner text, v int', 'items')
  await admin(`grant select on items to ${role}; alter table items enable row level security;
    create policy p on items using (owner = ${SUB} and coalesce((${SUB.replace('sub', 'n')})::int, 1) = 1)`)
})
afterEach(async () => {
  gate?.resolve()
  gate = undefined
  asked = []
  await staged?.close()
})
afterAll(async () => {
  await roles.close()
  await watched.close()
})

const SUB = `current_setting('request.jwt.claims')::json ->> 'sub'`
const admin = (sql: string) => watched.log.database.query(sql)
const me = (sub: string, more: Viewer['claims'] = {}) => viewerOf(role, { sub, ...more })
const ids = (changes: readonly RowChange[]) =>
  changes.map(({ operation, key }) => `${operation[0]}${key?.get('id') ?? ''}`)

async function start(): Promise<Staged> {
  await admin('delete from items')
  const look =
    (sees: CheckVisibility): CheckVisibility =>
    async (of, viewers, images, signal) => {
      await gate?.promise
      asked.push(viewers.map(({ claims }) => String(claims.sub)))
      return sees(of, viewers, images, signal)
    }
  staged = await createStaged(watched, { checkVisibility: look })
  staged.tables.switchTo([await watched.find('items')], true)
  await staged.end()
  asked = []
  return staged
}

describe('events that wait for policies', () => {
  it('do not delay subscribers that need no answer, and arrive in order with their own positions', async () => {
    const { follow } = await start()
    const [everybody, ann] = [await follow(table, undefined), await follow(table, me('ann'))]
    gate = createDeferred()
    await admin(`insert into items values (1, 'ann'), (2, 'bob')`)
    await admin(`update items set owner = 'ann' where id = 2; delete from items where id = 1`)
    await everybody.level()
    expect(ids(everybody.changes)).toEqual(['I1', 'I2', 'U2', 'D1'])
    expect(ann.changes).toEqual([])
    expect(ann.replay.position()).not.toEqual(everybody.replay.position())
    // A subscriber that joins now gets earlier events from the log and later events live.
    const late = await follow(table, me('ann'))
    expect(late.replay.start()).toEqual(everybody.replay.start())
    gate.resolve()
    await ann.level()
    expect(ids(ann.changes)).toEqual(['I1', 'U2', 'D1'])
    expect(ann.changes[1]).toMatchObject({ old: null })
    expect(late.changes).toEqual([])
    await admin(`insert into items values (3, 'ann')`)
    await Promise.all([ann.level(), late.level()])
    expect(ids(late.changes)).toEqual(['I3'])
    expect(ann.replay.position()).toEqual(everybody.replay.position())
  })

  it('are evaluated once for each viewer, and only for viewers whose filters may match', async () => {
    const { follow } = await start()
    const column = (name: string) => table.columns.find(one => one.name === name) as (typeof table.columns)[0]
    const v = (k: number) =>
      ({
        filter: {
          kind: 'compare',
          operator: 'eq',
          column: column('v'),
          operand: { key: k, text: String(k) },
        },
      }) as const
    const followings = [
      await follow(table, me('ann'), v(1)),
      await follow(table, me('ann', { iat: 5 }), v(1)),
      await follow(table, me('bob'), v(2)),
      await follow(table, me('cat'), v(1)),
    ]
    await admin(`insert into items values (1, 'ann', 1), (2, 'bob', 3)`)
    for (const following of followings) await following.level()
    expect(asked.map(each => each.toSorted())).toEqual([['ann', 'cat']])
    expect(followings.map(({ changes }) => ids(changes))).toEqual([['I1'], ['I1'], [], []])
  })

  it('are evaluated regardless of the other conditions of a filter, because only the answer shows which rows are visible', async () => {
    const { follow } = await start()
    const column = (name: string) => table.columns.find(one => one.name === name) as (typeof table.columns)[0]
    const like = (pattern: string) =>
      ({ filter: { kind: 'like', column: column('owner'), pattern, ignoreCase: false } }) as const
    const above = (k: number) =>
      ({
        filter: {
          kind: 'compare',
          operator: 'gt',
          column: column('v'),
          operand: { key: k, text: String(k) },
        },
      }) as const
    const followings = [
      await follow(table, me('ann'), like('bo%')),
      await follow(table, me('cat'), like('x%')),
      await follow(table, me('dan'), above(5)),
      await follow(table, me('eve'), above(500)),
    ]
    await admin(`insert into items values (1, 'bob', 50)`)
    for (const following of followings) await following.level()
    expect(asked.map(each => each.toSorted())).toEqual([['ann', 'cat', 'dan', 'eve']])
    asked = []
    for (const [i, filter] of [like('bo%'), like('x%'), above(5), above(500)].entries()) {
      const { replay } = await follow(table, me(`late ${i}`), filter)
      await replay.read(followings[0]?.replay.start() as Position)
    }
    asked = []
    const before = await followings[0]?.replay.start()
    await admin(`insert into items values (2, 'bob', 50)`)
    for (const following of followings) await following.level()
    asked = []
    for (const [i, filter] of [like('bo%'), like('x%'), above(5), above(500)].entries()) {
      const { replay } = await follow(table, me(`late ${i}`), filter)
      expect((await replay.read(before as Position)).events).toEqual([])
    }
    expect(asked).toEqual([['late 0'], ['late 1'], ['late 2'], ['late 3']])
  })

  it('are read from the log again once too many wait, without loss or duplicates', async () => {
    const { follow } = await start()
    const ann = await follow(table, me('ann'))
    gate = createDeferred()
    await admin(`insert into items values (0, 'ann')`)
    await waitUntil(() => ann.replay.position(), 'it to begin')
    await admin(
      `insert into items select i, case when i % 100 = 0 then 'ann' else 'bob' end from generate_series(1, 8000) i`,
    )
    const everybody = await follow(table, undefined)
    await everybody.level()
    gate.resolve()
    gate = undefined
    await admin(`insert into items values (-1, 'ann')`)
    await ann.level()
    expect(ids(ann.changes)).toEqual([
      'I0',
      ...Array.from({ length: 80 }, (_, i) => `I${(i + 1) * 100}`),
      'I-1',
    ])
    await admin(`truncate items`)
    await ann.level()
    expect(ids(ann.changes).at(-1)).toBe('T')
  })

  it('keep the columns with which they were written', async () => {
    const { follow, tables } = await start()
    const ann = await follow(table, me('ann'))
    gate = createDeferred()
    await admin(`insert into items values (1, 'ann')`)
    await (await follow(table, undefined)).level()
    let isSettled = false
    const settled = Promise.resolve(tables.settled()).then(() => {
      isSettled = true
    })
    await new Promise(resolve => setImmediate(resolve))
    expect(isSettled).toBe(false)
    gate.resolve()
    await settled
    expect(ids(ann.changes)).toEqual(['I1'])
    expect(tables.settled()).toBeUndefined()
  })
})

describe('a stream', () => {
  it('ends with an error in the policies for its viewer, and streams of other viewers continue', async () => {
    const { follow, end } = await start()
    const [ann, broken, bob] = [
      await follow(table, me('ann')),
      await follow(table, me('ann', { n: 'x' })),
      await follow(table, me('bob')),
    ]
    const begun = await end()
    await admin(`insert into items values (1, 'ann'), (2, 'bob')`)
    await Promise.all([ann.level(), bob.level(), broken.level()])
    expect(broken.ended).toMatchObject({ code: 'FORBIDDEN' })
    await expect(staged?.replay(table, me('ann', { n: 'x' }), begun)).rejects.toMatchObject({
      code: 'FORBIDDEN',
    })
    await admin(`insert into items values (3, 'ann')`)
    await ann.level()
    expect([ids(ann.changes), ids(bob.changes)]).toEqual([['I1', 'I3'], ['I2']])
  })

  it('ends with the table', async () => {
    const { follow, tables } = await start()
    const ann = await follow(table, me('ann'))
    tables.switchTo([], true)
    expect(ann.ended).toMatchObject({ code: 'SCHEMA_CHANGED' })
    tables.switchTo([table], true)
    const again = await follow(table, me('ann'))
    await admin(`insert into items values (1, 'ann')`)
    await again.level()
    expect(ids(again.changes)).toEqual(['I1'])
  })

  it('ends when the meaning of any column changes, because policies may read the column', async () => {
    const { follow, tables } = await start()
    const everybody = await follow(table, undefined, { used: ['id'], usesKey: false })
    const concerned = await follow(table, undefined, { used: ['owner'], usesKey: false })
    const ann = await follow(table, me('ann'), { used: ['id'] })
    const next = { ...table, generation: table.generation + 1 }
    tables.switchTo([{ ...next, columnFrom: { owner: next.generation } }], true)
    expect([everybody, concerned, ann].map(({ ended }) => ended?.code)).toEqual([
      undefined,
      'CURSOR_EXPIRED',
      'CURSOR_EXPIRED',
    ])
    await admin(`insert into items values (1, 'ann')`)
    await everybody.level()
    expect(ids(everybody.changes)).toEqual(['I1'])
    tables.switchTo([table], true)
  })

  it('ends when the privilege is lost', async () => {
    const { follow } = await start()
    let lose: (error: never) => void = () => undefined
    let isGuarded = false
    const guard = (lost: typeof lose) => {
      lose = lost
      isGuarded = true
      return {
        stop() {
          isGuarded = false
        },
      }
    }
    const ann = await follow(table, me('ann'), { guard: guard as never })
    lose({ code: 'FORBIDDEN' } as never)
    expect(ann.ended).toEqual({ code: 'FORBIDDEN' })
    await admin(`insert into items values (1, 'ann')`)
    await staged?.end()
    expect(ann.changes).toEqual([])
    ann.stop()
    expect(isGuarded).toBe(false)
  })
})

it('viewers that resume at the same time are evaluated together', async () => {
  const { replay, end } = await start()
  const begun = await end()
  await admin(`insert into items values (1, 'ann'), (2, 'bob')`)
  await end()
  asked = []
  const all = await Promise.all(['ann', 'bob', 'cat'].map(sub => replay(table, me(sub), begun)))
  expect(all.map(changes => ids(changes))).toEqual([['I1'], ['I2'], []])
  expect(asked.map(each => each.toSorted())).toEqual([['ann', 'bob', 'cat']])
})
