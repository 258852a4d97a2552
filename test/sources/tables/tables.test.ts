import { describe, expect, it } from 'vitest'
import { viewerKey } from '../../../src/auth/viewer.js'
import type { WatchedTable } from '../../../src/catalog/watched-table.js'
import { EVERYTHING } from '../../../src/filters/index.js'
import { abortable } from '../../../src/lib/abort.js'
import { createDeferred } from '../../../src/lib/deferred.js'
import type { Account } from '../../../src/lib/limits/account.js'
import { LimitExceeded } from '../../../src/lib/limits/limit-exceeded.js'
import type { AuthorisedChangesRequest } from '../../../src/sources/tables/changes-request.js'
import type { RowChange } from '../../../src/sources/tables/row-change.js'
import { createTables, type TablesOptions } from '../../../src/sources/tables/tables.js'
import { createFakedLog } from '../../support/faked-log.js'
import { viewerOf } from '../../support/viewers.js'
import { column, table } from '../../support/watched-tables.js'

// test/property/once.test.ts covers the order of live and replayed events, visibility-queue.test.ts row-level security.

const people = (more: Partial<WatchedTable> = {}): WatchedTable => ({
  ...table('people', [column('id', 'int4', { notNull: true })]),
  relid: '1',
  generation: 1,
  wholeFrom: 1,
  since: { n: 0, token: 0 },
  ...more,
})

/** The feed of a faked log. */
function createTested(options: Partial<TablesOptions> = {}) {
  const log = createFakedLog([10])
  // The schema switch ends histories; the faked log does not know about the switch.
  const ended: string[] = []
  let follows = 0
  const follower = Object.assign(Object.create(log.follower), {
    follow(...args: Parameters<typeof log.follower.follow>) {
      follows++
      const stop = log.follower.follow(...args)
      return () => {
        follows--
        stop()
      }
    },
    end: (kind: string, relid: string, { code }: { code: string }) => ended.push(`${kind}${relid} ${code}`),
  })
  const faults: unknown[] = []
  const tables = createTables({ log: follower, observe: fault => faults.push(fault), ...options })
  tables.switchTo([people()], true)
  let number = 0
  return {
    tables,
    log,
    /** Returns how many followers the log has now. */
    follows: () => follows,
    ended,
    faults,
    /** Commits rows with the next numbers, and delivers them. */
    insert(count = 1) {
      log.commit(Array.from({ length: count }, () => ({ kind: 't', topic: '1', number: ++number })))
      while (log.dispatchNext());
    },
  }
}

/** Follows `people`, and records the id of each inserted row and the error that ended the follower. */
async function follow(
  { tables }: ReturnType<typeof createTested>,
  request: Partial<AuthorisedChangesRequest> = {},
  account?: Account,
) {
  const received: string[] = []
  const source = tables.changes(people(), {
    filter: EVERYTHING,
    operations: undefined,
    after: undefined,
    used: ['id'],
    usesKey: false,
    ...request,
  })
  const stop = await source.open({
    event: ({ row }: RowChange) => void received.push(String(row?.get('id'))),
    end: ({ code }) => void received.push(code),
    account,
  })
  return { received, stop, source }
}

describe('changes of a table', () => {
  it('reach all followers of the table, in the order of the log, until the followers leave', async () => {
    const tested = createTested()
    const [one, other] = [await follow(tested), await follow(tested, { operations: ['DELETE'] })]
    tested.insert(2)
    one.stop()
    tested.insert()
    expect([one.received, other.received]).toEqual([['1', '2'], []])
  })

  it('are delivered in the same step in which the log moves on, if no policy restricts the follower', async () => {
    const tested = createTested({ checkVisibility: () => new Promise(() => undefined) })
    const restricted = await follow(tested, { viewer: viewerOf('viewer') })
    const { received } = await follow(tested)
    tested.insert()
    expect([received, restricted.received]).toEqual([['1'], []])
  })

  it('need one follower in the log for any number of followers, and none after the last has left', async () => {
    const tested = createTested()
    const [one, other] = [await follow(tested), await follow(tested)]
    expect(tested.follows()).toBe(1)
    one.stop()
    other.stop()
    expect(tested.follows()).toBe(0)
    const again = await follow(tested)
    tested.insert()
    expect([one.received, other.received, again.received]).toEqual([[], [], ['1']])
  })

  it('reach a viewer as far as the policies let the viewer see them', async () => {
    const tested = createTested({
      checkVisibility: async (_table, viewers, images) =>
        new Map(viewers.map(each => [viewerKey(each, true), images.map(image => image.get('id') === 2)])),
    })
    const { received } = await follow(tested, { viewer: viewerOf('viewer') })
    tested.insert(3)
    await tested.tables.settled()
    expect(received).toEqual(['2'])
    await tested.tables.close()
  })
})

it('a viewer that resumes while the tables close gets an error for clients, since no part of the server is at fault', async () => {
  const asked = createDeferred()
  const tested = createTested({
    checkVisibility(_table, _viewers, _images, signal) {
      asked.resolve()
      return abortable(new Promise(() => undefined), signal)
    },
  })
  const { source, stop } = await follow(tested, { viewer: viewerOf('viewer') })
  stop() // only the replay asks
  const { replay } = source
  const before = replay?.position()
  tested.insert()
  const read = before && replay?.read(before)
  tested.log.answer()
  const ended = expect(read).rejects.toMatchObject({ code: 'DATABASE_FAILED' })
  await asked.promise
  await tested.tables.close()
  await ended
})

describe('a follower that cannot continue', () => {
  it('ends alone if its account is overdrawn', async () => {
    const tested = createTested()
    const refusal = new LimitExceeded('filterRate', 1, 'spent')
    const poor = await follow(tested, {}, { refusal: () => refusal, pay: () => undefined })
    const other = await follow(tested)
    tested.insert(2)
    expect([poor.received, other.received]).toEqual([['LIMIT_EXCEEDED'], ['1', '2']])
    expect(tested.faults).toEqual([])
  })

  it('ends alone if its view fails, and the failure is observed', async () => {
    const tested = createTested()
    const broken: Account = {
      refusal() {
        throw new TypeError('broken')
      },
      pay: () => undefined,
    }
    const one = await follow(tested, {}, broken)
    const other = await follow(tested)
    tested.insert(2)
    expect([one.received, other.received]).toEqual([['DATABASE_FAILED'], ['1', '2']])
    expect(tested.faults).toMatchObject([{ type: 'fault' }])
  })

  it('ends when its privilege is lost, and does not start if the privilege was lost before', async () => {
    const tested = createTested()
    const lost = new LimitExceeded('filterRate', 1, 'the right is lost')
    let lose: (error: LimitExceeded) => void = () => undefined
    let guards = 0
    const guard: AuthorisedChangesRequest['guard'] = onLost => {
      guards++
      lose = onLost
      return { stop: () => guards-- }
    }
    const { received, stop } = await follow(tested, { guard })
    tested.insert()
    lose(lost)
    tested.insert()
    expect([received, guards]).toEqual([['1', 'LIMIT_EXCEEDED'], 1])
    stop()
    expect(guards).toBe(0)
    const refused = follow(tested, { guard: onLost => ({ ready: Promise.reject(lost), stop: () => onLost }) })
    await expect(refused).rejects.toBe(lost)
  })
})

describe('after a schema change', () => {
  it('a table whose history continues keeps its followers, unless the meaning of a column that they use has changed', async () => {
    const tested = createTested()
    const [name, id, key] = [
      await follow(tested, { used: ['name'] }),
      await follow(tested, { used: ['id'] }),
      await follow(tested, { used: [], usesKey: true }),
    ]
    tested.tables.switchTo([people({ generation: 2, columnFrom: { name: 2 } })], true)
    tested.insert()
    expect([name.received, id.received, key.received]).toEqual([['CURSOR_EXPIRED'], ['1'], ['1']])
    const late = await follow(tested, { used: ['name'] })
    tested.tables.switchTo([people({ generation: 3, columnFrom: { name: 2, '': 3 } })], true)
    tested.insert()
    expect([id.received, key.received, late.received]).toEqual([['1', '2'], ['1', 'CURSOR_EXPIRED'], ['2']])
    id.stop()
    tested.tables.switchTo([people({ generation: 4, columnFrom: { name: 4 } })], true)
    expect([late.received, tested.follows()]).toEqual([['2', 'CURSOR_EXPIRED'], 0])
    expect(tested.ended).toEqual([])
  })

  it.each([
    ['that is no longer watched', [], 'SCHEMA_CHANGED'],
    ['whose history starts anew', [people({ generation: 2, wholeFrom: 2 })], 'CURSOR_EXPIRED'],
    ['that has another name', [people({ name: 'persons' })], 'SCHEMA_CHANGED'],
    ['whose name belongs to another table', [people({ relid: '2' })], 'CURSOR_EXPIRED'],
  ])('a history in the log ends for a table %s', (_what, tables, code) => {
    const tested = createTested()
    tested.tables.switchTo(tables, true)
    expect(tested.ended).toEqual([`t1 ${code}`])
  })

  it('a cursor from before the new history has expired', async () => {
    const tested = createTested()
    tested.tables.switchTo([people({ generation: 2, wholeFrom: 2, since: { n: 3, token: 0 } })], true)
    const { source } = await follow(tested)
    const before = { n: 2, token: 0, ord: 1, statement: 1, id: 1 }
    await expect(source.replay?.read(before)).rejects.toMatchObject({ code: 'CURSOR_EXPIRED' })
  })
})
