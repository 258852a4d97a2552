import { expect, it } from 'vitest'
import { ListenqlError } from '../../../../src/lib/errors.js'
import { encodePlain, endOfBatch, START_OVER } from '../../../../src/log/position.js'
import { createInitialRows } from '../../../../src/sources/tables/start/initial-rows.js'
import { image, table } from '../../../support/watched-tables.js'

const PEOPLE = table('people')
const position = endOfBatch({ n: 3, token: 7 })

it('the rows have a cursor before every position, and READY has that of the snapshot', async () => {
  const rows = [image(PEOPLE, '{"id":1}')]
  const initial = createInitialRows({
    read: async () => ({ position, rows }),
    cursors: { encode: encodePlain },
    hasHistory: () => true,
  })
  const first = await initial.read()
  expect(first.events).toMatchObject([
    {
      operation: 'READ',
      position: START_OVER,
      cursor: encodePlain(START_OVER),
      key: rows[0],
      row: rows[0],
      old: null,
    },
    { operation: 'READY', position, cursor: encodePlain(position), key: null, row: null, old: null },
  ])
  expect(first.position).toBe(position)
  expect(await initial.read(), 'the same for subscribers that get the same rows').toBe(first)
  expect(initial.reset()).toMatchObject({ operation: 'RESET', position: START_OVER, key: null, row: null })
})

it('begins again after a lost position while the table has a history', () => {
  let hasHistory = true
  const { startsOverAfter } = createInitialRows({
    read: () => Promise.reject(new Error('not read')),
    cursors: { encode: encodePlain },
    hasHistory: () => hasHistory,
  })
  const lost = (['CURSOR_EXPIRED', 'CURSOR_INVALID'] as const).map(code => new ListenqlError(code, ''))
  expect(lost.map(startsOverAfter)).toEqual([true, true])
  expect([new ListenqlError('FORBIDDEN', ''), new Error('')].map(startsOverAfter)).toEqual([false, false])
  hasHistory = false
  expect(lost.map(startsOverAfter)).toEqual([false, false])
})
