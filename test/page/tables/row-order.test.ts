import { expect, it } from 'vitest'
import { compareRows } from '../../../page/tables/row-order.js'
import { pageTable } from '../../support/page-tables.js'

const sorted = (type: string, ...values: unknown[]) =>
  values
    .map(id => ({ id }))
    .sort(compareRows(pageTable(1, `id:${type}`), { order: undefined }))
    .map(({ id }) => id)

it('the order by key depends on the type: newest first for numbers and times', () => {
  expect(sorted('Int!', 2, 10, -1)).toEqual([10, 2, -1])
  expect(sorted('BigInt!', '9007199254740993', '10', '9007199254740992', '-2', '-10')).toEqual([
    '9007199254740993',
    '9007199254740992',
    '10',
    '-2',
    '-10',
  ])
  expect(sorted('Decimal!', '1.5', 'NaN', '1.49', '-0.1', '-Infinity', 'Infinity', '0', '10.0')).toEqual([
    'NaN',
    'Infinity',
    '10.0',
    '1.5',
    '1.49',
    '0',
    '-0.1',
    '-Infinity',
  ])
  expect(
    sorted(
      'DateTime!',
      '2026-11-22T22:41:00Z',
      '2026-11-22T22:41:00.000001Z',
      'infinity',
      '2026-11-22T22:41:00.1Z',
      '-infinity',
    ),
  ).toEqual([
    'infinity',
    '2026-11-22T22:41:00.1Z',
    '2026-11-22T22:41:00.000001Z',
    '2026-11-22T22:41:00Z',
    '-infinity',
  ])
})

it('is ascending for texts, and in the later columns of a key', () => {
  expect(sorted('String!', 'b', 'B', 'a')).toEqual(['B', 'a', 'b'])
  const rows = [
    { id: 1, line: 2 },
    { id: 2, line: 1 },
    { id: 1, line: 1 },
  ]
  expect(rows.sort(compareRows(pageTable(2, 'id:Int!', 'line:Int!'), { order: undefined }))).toEqual([
    { id: 2, line: 1 },
    { id: 1, line: 1 },
    { id: 1, line: 2 },
  ])
})

it('by a chosen column has nulls last, or first if it is descending, and goes by key among equals', () => {
  const table = pageTable(1, 'id:Int!', 'age:Int')
  const rows = [
    { id: 3, age: null },
    { id: 2, age: 7 },
    { id: 1, age: 7 },
    { id: 4, age: 30 },
  ]
  const ids = (isDescending: boolean) =>
    [...rows].sort(compareRows(table, { order: { field: 'age', isDescending } })).map(({ id }) => id)
  expect(ids(false)).toEqual([1, 2, 4, 3])
  expect(ids(true)).toEqual([3, 4, 1, 2])
})
