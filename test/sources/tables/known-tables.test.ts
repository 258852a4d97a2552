import { expect, it } from 'vitest'
import type { WatchedTable } from '../../../src/catalog/watched-table.js'
import type { LogEvent } from '../../../src/log/log-event.js'
import { KnownTables, type TableSwitch } from '../../../src/sources/tables/known-tables.js'
import { column, table } from '../../support/watched-tables.js'

const people = (more: Partial<WatchedTable> = {}) =>
  table('people', [column('id', 'int4', { notNull: true })], { relid: '1', ...more })
const event = (id: number) =>
  ({ kind: 't', topic: '1', operation: 'U', old: `{"id":${id}}`, new: `{"id":${id + 1}}` }) as LogEvent
const words = (switches: readonly TableSwitch[]) =>
  switches.map(one => (one.kind === 'kept' ? `kept since ${one.since}` : one.error.code))

it('an event is parsed once for all subscribers, live and in a page', () => {
  const known = new KnownTables()
  known.switchTo([people()], [])
  const one = event(1)
  const read = known.read(one)
  expect(read?.images.row?.get('id')).toBe(2)
  expect(known.read(one)?.images).toBe(read?.images)
  const page = [one, event(5), { ...event(9), topic: 'another' }]
  expect(known.readPage('1', page).map(({ images }) => images.old?.get('id'))).toEqual([1, 5])
  expect(known.readPage('1', page)).toBe(known.readPage('1', page))
  expect(known.readPage('1', page)[0]?.images).toBe(read?.images)
})

it('an event of a table that is not watched is unknown', () => {
  const known = new KnownTables()
  known.switchTo([people()], [])
  expect(known.read({ ...event(1), topic: '2' })).toBeUndefined()
  expect(known.readPage('2', [event(1)])).toEqual([])
  expect(() => known.beginning('2')).toThrow(expect.objectContaining({ code: 'SCHEMA_CHANGED' }))
})

it('a history continues in a new generation that missed no event, under the same name', () => {
  const next = (more: Partial<WatchedTable>) => {
    const before = new KnownTables()
    before.switchTo([people({ generation: 3 })], [])
    return words(before.switchTo([people({ generation: 4, ...more })], []))
  }
  expect(next({ wholeFrom: 3 })).toEqual(['kept since 3'])
  expect(next({ wholeFrom: 4 })).toEqual(['CURSOR_EXPIRED'])
  expect(next({ wholeFrom: 3, name: 'persons' })).toEqual(['SCHEMA_CHANGED'])
  expect(next({ wholeFrom: 3, schema: 'app' })).toEqual(['SCHEMA_CHANGED'])
})

it('the reason why a table has no history is given: the history starts anew, is incomplete, or the table is not watched', () => {
  const gone = (tables: readonly WatchedTable[], paused: readonly string[] = []) => {
    const known = new KnownTables()
    known.switchTo([people()], [])
    const [change] = known.switchTo(tables, paused)
    return change?.kind === 'ended' ? `${change.error.code}: ${change.error.message}` : change?.kind
  }
  expect(gone([])).toMatch(/^SCHEMA_CHANGED: /)
  expect(gone([], ['1'])).toMatch(/^CURSOR_EXPIRED: changes of this table may have been missed/)
  expect(gone([people({ relid: '2' })])).toMatch(/^CURSOR_EXPIRED: the history of this table begins later/)
})

it('the next switch resolves its waiters', async () => {
  const known = new KnownTables()
  const switched = known.switched
  known.switchTo([], [])
  await switched
  const closed = known.switched
  known.close()
  await closed
})
