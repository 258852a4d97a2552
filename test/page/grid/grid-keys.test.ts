import { expect, it } from 'vitest'
import { nextPlace } from '../../../page/grid/grid-keys.js'

const extent = { rows: 100, columns: 4, page: 10 }

it('the arrow keys move by one, and not beyond the edges', () => {
  expect(nextPlace('ArrowDown', { row: 0, column: 1 }, extent)).toEqual({ row: 1, column: 1 })
  expect(nextPlace('ArrowDown', { row: 99, column: 1 }, extent)).toEqual({ row: 99, column: 1 })
  expect(nextPlace('ArrowUp', { row: 0, column: 1 }, extent)).toEqual({ row: -1, column: 1 })
  expect(nextPlace('ArrowUp', { row: -1, column: 1 }, extent)).toEqual({ row: -1, column: 1 })
  expect(nextPlace('ArrowRight', { row: 0, column: 3 }, extent)).toEqual({ row: 0, column: 3 })
})

it('other keys move by a page or to an end, and keys for something else do not move', () => {
  expect(nextPlace('PageDown', { row: 95, column: 0 }, extent)).toEqual({ row: 99, column: 0 })
  expect(nextPlace('PageUp', { row: 5, column: 0 }, extent)).toEqual({ row: 0, column: 0 })
  expect(nextPlace('End', { row: 5, column: 0 }, extent)).toEqual({ row: 5, column: 3 })
  expect(nextPlace('Tab', { row: 5, column: 0 }, extent)).toBe(undefined)
  expect(nextPlace('ArrowDown', { row: -1, column: 0 }, { ...extent, rows: 0 })).toEqual({
    row: -1,
    column: 0,
  })
})
