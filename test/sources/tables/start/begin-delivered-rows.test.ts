import { expect, it } from 'vitest'
import { ANONYMOUS } from '../../../../src/auth/viewer.js'
import type { LogEvent } from '../../../../src/log/log-event.js'
import type { Page } from '../../../../src/log/log-queries.js'
import { endOfBatch, type Position } from '../../../../src/log/position.js'
import { keyText } from '../../../../src/sources/tables/delivered-rows.js'
import { KnownTables } from '../../../../src/sources/tables/known-tables.js'
import { beginDeliveredRows } from '../../../../src/sources/tables/start/begin-delivered-rows.js'
import { column, image, table } from '../../../support/watched-tables.js'

const NOTES = table('notes', [column('id', 'int4', { notNull: true }), column('body')], { relid: '1' })
const at = (n: number) => endOfBatch({ n, token: 1 })
const KEY = keyText(NOTES.key, image(NOTES, '{"id":7,"body":null}'))
const row = (body: string) => `{"id":7,"body":"${body}"}`
const update = (n: number, old: string, now: string) =>
  ({
    kind: 't',
    topic: NOTES.relid,
    operation: 'U',
    position: at(n),
    old: row(old),
    new: row(now),
  }) as LogEvent

/** Begins with a snapshot at batch 1 that shows row 7, over a log of these pages. */
async function begin(pages: readonly Page[]) {
  const known = new KnownTables()
  known.switchTo([NOTES], [])
  const read: Position[] = []
  const begun = await beginDeliveredRows({
    log: {
      async read(after) {
        read.push(after)
        return pages[read.length - 1] as Page
      },
    },
    known,
    present: {
      isNeeded: () => true,
      readable: async () => ['id', 'body'],
      keys: async () => ({ keys: [KEY], position: at(1) }),
      rows: async () => new Map(),
    },
    table: NOTES,
    viewer: ANONYMOUS,
    signal: new AbortController().signal,
  })
  return { begun, read }
}

it('reads on after an empty page: another subscriber may have asked for it before the last events were there', async () => {
  const { begun, read } = await begin([
    { events: [], position: at(2), isLast: true },
    { events: [update(3, 'shown', 'hidden')], position: at(3), isLast: false },
  ])
  await begun.settle(at(3))
  expect(read).toEqual([at(1), at(2)])
  // The hidden version has not been delivered, so it does not appear as the old row.
  const next = update(4, 'hidden', 'again')
  const images = { row: image(NOTES, row('again')), old: image(NOTES, row('hidden')) }
  const present = new Map([[KEY, images.row]])
  const deliverable = begun.delivered.next(next, images, { row: images.row, old: null }, present)
  expect(deliverable).toMatchObject({ kind: 'images', images: { old: null } })
})

it('reads nothing if the subscription follows from the snapshot on', async () => {
  const { begun, read } = await begin([])
  await begun.settle(at(1))
  await begun.settle(undefined)
  expect(read).toEqual([])
})
