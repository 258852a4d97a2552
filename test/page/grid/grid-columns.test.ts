import { expect, it } from 'vitest'
import { gridColumns, isCut, sizesOf } from '../../../page/grid/grid-columns.js'
import { pageTable } from '../../support/page-tables.js'

const table = pageTable(1, 'id:UUID!', 'name:String', 'note:String')
const id = '00000000-0000-0000-0000-000000000001'

it('a column is as wide as its first values, within limits, and a cell with more is cut', () => {
  const [, name, note] = gridColumns(table, [{ id, name: 'Ada Lovelace', note: 'x'.repeat(500) }])
  expect(isCut('Ada Lovelace', name?.width ?? 0)).toBe(false)
  expect(isCut('Ada Lovelace, Countess', name?.width ?? 0)).toBe(true)
  expect(note?.width).toBeLessThan(300)
})

it('a key leaves room for other columns, and the last column has what is left', () => {
  const columns = gridColumns(table, [{ id, name: 'Ada', note: 'x' }])
  const narrow = sizesOf(columns, 340)
  expect(narrow[0]).toBeLessThan(340 / 2)
  expect(sizesOf(columns, 2000).reduce((sum, size) => sum + size, 0)).toBe(2000)
  expect(sizesOf(columns, 0).at(-1)).toBe(columns.at(-1)?.width)
})

it('a table without a key has columns for time and change, and no order', () => {
  const columns = gridColumns(pageTable(0, 'a:Int'), [])
  expect(columns.map(({ name, isSortable }) => [name, isSortable])).toEqual([
    ['time', false],
    ['change', false],
    ['a', false],
  ])
})
