import { expect, it } from 'vitest'
import { isNewestFirst, shownColumns } from '../../../page/tables/watched-table.js'
import { pageTable } from '../../support/page-tables.js'

it('the columns that are shown begin with the key, and end before a row is too long', () => {
  const wide = pageTable(1, ...Array.from({ length: 1600 }, (_, index) => `column_${index}:Int`))
  const columns = shownColumns({ ...wide, key: ['column_7'] })
  expect(columns[0]?.field).toBe('column_7')
  expect(columns[1]?.field).toBe('column_0')
  expect(columns).toHaveLength(60)
  const long = pageTable(1, ...Array.from({ length: 100 }, (_, index) => `${'c'.repeat(100)}${index}:Int`))
  expect(shownColumns(long).length).toBeLessThan(30)
})

it('a table whose keys grow is shown with the greatest first', () => {
  expect(isNewestFirst(pageTable(1, 'id:BigInt!'))).toBe(true)
  expect(isNewestFirst(pageTable(1, 'id:UUID!'))).toBe(false)
  expect(isNewestFirst(pageTable(1, 'id:[Int]!'))).toBe(false)
  expect(isNewestFirst(pageTable(0, 'id:Int'))).toBe(false)
})
