import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { viewerKey } from '../../../src/auth/viewer.js'
import type { WatchedTable } from '../../../src/catalog/watched-table.js'
import { createImageReader } from '../../../src/filters/index.js'
import { createDeferred, type Deferred } from '../../../src/lib/deferred.js'
import { ListenqlError } from '../../../src/lib/errors.js'
import { createPollDoorbell } from '../../../src/log/pace/doorbell.js'
import { comparePositions, type Position } from '../../../src/log/position.js'
import { createTableAccess, type TableAccess } from '../../../src/rls/table-access.js'
import { createPresentRows } from '../../../src/snapshots/present-rows.js'
import { createSnapshots, type Snapshots } from '../../../src/snapshots/snapshots.js'
import type { Present } from '../../../src/sources/tables/present.js'
import type { RowChange } from '../../../src/sources/tables/row-change.js'
import { createStaged, type Staged } from '../../support/staged.js'
import { createViewerRoles, type ViewerRoles, viewerOf } from '../../support/viewers.js'
import { waitUntil } from '../../support/wait.js'
import { createWatchedLog, type WatchedLog } from '../../support/watched-log.js'

let watched: WatchedLog
let roles: ViewerRoles
let role: string
let notes: WatchedTable
let staged: Staged
let snapshots: Snapshots
let tableAccess: TableAccess

const admin = (sql: string) => watched.log.database.query(sql)
const me = (sub: string) => viewerOf(role, { sub })
const ids = (changes: readonly RowChange[]) => changes.map(({ row }) => row?.get('id'))

beforeAll(async () => {
  watched = await createWatchedLog()
  roles = createViewerRoles(watched)
  role = await roles.add('reader')
  await watched.table('id int primary key, is_public boolean', 'notes')
  await admin(`grant select on notes to ${role};
    create function sees_note(int) returns boolean language sql stable security definer as $$ select n.is_public from public.notes n where n.id = $1 $$;
    create function sees_pieces(id int, sub text) returns boolean language plpgsql stable security definer as $$
    declare found boolean = true; begin
      if sub = 'slow' then perform pg_catalog.pg_sleep(0.3);
      else execute 'select n.is_public from public.no' || 'tes n where n.id = $1' into found using id; end if;
      return found; end $$;
    alter table notes enable row level security`)
  notes = await watched.find('notes')
})
beforeEach(async () => {
  await admin('delete from notes; drop policy if exists p on notes')
})
afterEach(async () => {
  await staged?.close()
  await snapshots?.close()
  await tableAccess?.close()
})
afterAll(async () => {
  await roles?.close()
  await watched?.close()
})

async function start(
  using: string,
  change: (present: Present) => Present = one => one,
  options: Parameters<typeof createStaged>[1] = {},
): Promise<void> {
  await admin(`create policy p on notes using (${using})`)
  const shared = { config: watched.server.config, connectTimeout: 5000, observe: () => undefined }
  staged = await createStaged(watched, {
    ...options,
    present(rowAccess, cursors) {
      snapshots = createSnapshots({ ...shared, queryTimeout: 5000, cursors })
      tableAccess = createTableAccess({ ...shared, reconnectMax: 100, catalogInterval: 1000 })
      return change(createPresentRows({ snapshots, tableAccess, rowAccess }))
    },
  })
  staged.tables.switchTo([notes], true)
  await staged.end()
}

it('a viewer whose rows are read slowly delays no other viewer, and gets all rows after the delay', async () => {
  const released = createDeferred()
  let asked = 0
  await start('sees_note(id)', present => ({
    ...present,
    async rows(table, viewer, images, signal) {
      if (viewer.claims.sub === 'late') {
        asked++
        await released.promise
      }
      return present.rows.call(present, table, viewer, images, signal)
    },
  }))
  for (const sub of ['late', 'ann']) await staged.rowAccess.probe(notes, me(sub))
  const late = await staged.follow(notes, me('late'))
  const ann = await staged.follow(notes, me('ann'))
  const before = late.replay.position()
  for (let id = 1; id <= 3; id++) {
    await admin(`insert into notes values (${id}, true)`)
    await waitUntil(() => ann.changes.length >= id, `${id} changes`)
  }
  expect(asked).toBe(1)
  expect(late.changes).toEqual([])
  expect(late.replay.position()).toEqual(before)
  released.resolve()
  await late.level()
  expect(ids(late.changes)).toEqual([1, 2, 3])
  expect(ids(ann.changes)).toEqual([1, 2, 3])
})

it('reads of the table are counted, even if another viewer of the role is slow', async () => {
  await start(`sees_pieces(id, current_setting('request.jwt.claims')::json ->> 'sub')`)
  await admin('insert into notes values (1, true)')
  const image = createImageReader(notes.columns)('{"id":1,"is_public":true}')
  const viewers = [me('ann'), me('slow')]
  // The search for names finds nothing, and no image has been evaluated yet.
  await staged.rowAccess.probe(notes, me('ann'))
  expect(staged.rowAccess.readsItself(notes, me('ann'))).toBe(false)
  const answers = await staged.rowAccess.checkVisibility(notes, viewers, [image])
  const [ann, slow] = viewers.map(viewer => answers.get(viewerKey(viewer, true)))
  expect(slow).toBeInstanceOf(Promise)
  expect(ann).toEqual([true])
  expect(staged.rowAccess.readsItself(notes, me('ann'))).toBe(true)
  expect(await slow).toEqual([true])
})

it('a privilege that is lost while the visible rows are read ends the subscription', async () => {
  const refusal = new ListenqlError('FORBIDDEN', 'lost')
  let lose: (error: ListenqlError) => void = () => undefined
  let stopped = 0
  await start('sees_note(id)', present => ({
    ...present,
    async keys(table, viewer, signal) {
      const found = await present.keys(table, viewer, signal)
      // The change commits between the snapshot and the first event of the subscription.
      await admin('insert into notes values (1, true)')
      await staged.end()
      return found
    },
  }))
  await staged.rowAccess.probe(notes, me('ann'))
  const read = staged.log.read.bind(staged.log)
  staged.log.read = async (...args) => {
    lose(refusal)
    return read(...args)
  }
  const opening = staged.follow(notes, me('ann'), {
    guard(lost) {
      lose = lost
      return { stop: () => void stopped++ }
    },
  })
  await expect(opening).rejects.toBe(refusal)
  expect(stopped).toBe(1)
})

it('a row that was deleted before the subscription began does not end it, even if the log was not read that far', async () => {
  const poll = createPollDoorbell({ poll: 5 })
  let held: Deferred | undefined
  const parked = createDeferred()
  await start('sees_note(id)', undefined, {
    doorbell: {
      ...poll,
      async next(...given) {
        if (held) parked.resolve()
        await held?.promise
        return poll.next(...given)
      },
    },
  })
  await staged.rowAccess.probe(notes, me('ann'))
  expect(staged.rowAccess.readsItself(notes, me('ann'))).toBe(true)
  held = createDeferred()
  await parked.promise
  const before = staged.log.position as Position
  await admin('insert into notes values (1, true)')
  await admin('delete from notes')
  const following = await staged.follow(notes, me('ann'))
  const successor = await staged.follow(notes, me('ann'), undefined, before)
  const begun = following.replay.position()
  held.resolve()
  held = undefined
  await admin('insert into notes values (2, true)')
  await following.level()
  expect(following.ended).toBeUndefined()
  expect(ids(following.changes)).toEqual([2])
  // This source may have delivered the row earlier.
  expect(successor.ended).toMatchObject({ code: 'CURSOR_EXPIRED' })
  // A subscriber that resumes on this source gets the earlier events from the log, and there the row is unknown.
  await expect(following.replay.read(before)).rejects.toMatchObject({ code: 'CURSOR_EXPIRED' })
  expect(comparePositions(begun, before)).toBeGreaterThan(0)
})
