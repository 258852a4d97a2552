import type pg from 'pg'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { createDeferred, type Deferred } from '../../src/lib/deferred.js'
import { createKnownRights, type KnownRights, keyOf } from '../../src/rls/known-rights.js'
import { createViewerRoles, type ViewerRoles } from '../support/viewers.js'
import { createWatchedLog, type WatchedLog } from '../support/watched-log.js'

let watched: WatchedLog
let roles: ViewerRoles
let role: string
let relid: string
let known: KnownRights
/** Rights that were read, in order, as the readable columns; undefined: the table is gone. */
let read: (readonly string[] | undefined)[]
/** Holds back the next reads of the rights, after they have seen the database. */
let gates: { readonly seen: Deferred; readonly gate: Deferred }[]

/** A pool of one connection whose reads of rights a test can hold back; the statements run in order. */
function createGatedPool(client: pg.ClientBase): pg.Pool {
  const query = async (config: string | { text: string }, values?: unknown[]) => {
    const text = typeof config === 'string' ? config : config.text
    const result = await client.query(config as string, values)
    const held = text.includes('has_column_privilege') ? gates.shift() : undefined
    if (held) {
      await client.query('commit') // so that another read can begin on the same connection
      held.seen.resolve()
      await held.gate.promise
    }
    return result
  }
  return { query, connect: async () => ({ query, release: () => undefined }) } as unknown as pg.Pool
}

beforeAll(async () => {
  watched = await createWatchedLog()
  roles = createViewerRoles(watched)
  role = await roles.add('reader')
})
afterAll(async () => {
  await roles.close()
  await watched.close()
})
beforeEach(async () => {
  relid = (await watched.table('id int primary key, name text', 'staff')).relid
  read = []
  gates = []
  known = createKnownRights({
    pool: createGatedPool(watched.client),
    keepsPrepared: false,
    onRead(key, rights) {
      expect(key).toBe(keyOf({ relid, role }))
      read.push(rights?.columns)
    },
  })
})

const admin = (sql: string) => watched.log.database.query(sql)
const columns = () => known.get({ relid, role })?.rights.columns
const review = () => known.review([{ relid, role }])

it('reads rights again only while they may have changed', async () => {
  await admin(`grant select (id) on staff to ${role}`)
  expect(columns()).toBeUndefined()
  await review()
  expect(columns()).toEqual(['id'])
  await review() // once more, because the first read may be older than its digest
  for (let i = 0; i < 3; i++) await review()
  expect(read).toEqual([['id'], ['id']])
  await admin(`grant select on staff to ${role}`)
  await review()
  expect(read).toEqual([['id'], ['id'], ['id', 'name']])
  await admin('drop table staff')
  await review()
  expect(read[3]).toBeUndefined()
  expect([read.length, columns()]).toEqual([4, undefined])
})

it('keeps the rights of the read that began later, if two overlap, and reads them once more', async () => {
  const [first, second] = [
    { seen: createDeferred(), gate: createDeferred() },
    { seen: createDeferred(), gate: createDeferred() },
  ]
  await admin(`grant select (id) on staff to ${role}`)
  gates.push(first, second)
  const early = known.read({ relid, role })
  await first.seen.promise
  await admin(`revoke select (id) on staff from ${role}`)
  const late = review()
  await second.seen.promise
  second.gate.resolve()
  await late
  expect(columns()).toEqual([])
  first.gate.resolve()
  expect((await early)?.columns).toEqual([])
  expect(read).toEqual([[]])
  await review()
  expect(read).toEqual([[], []])
})

it('shares one read among all that ask for the same rights', async () => {
  await admin(`grant select (name) on staff to ${role}`)
  const all = await Promise.all([1, 2, 3].map(() => known.read({ relid, role })))
  expect(all.map(rights => rights?.columns)).toEqual([['name'], ['name'], ['name']])
  expect(read).toEqual([['name']])
})
