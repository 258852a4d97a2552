import { describe, expect, it } from 'vitest'
import { applyChange } from '../../src/client/apply-change.js'

describe('applyChange', () => {
  interface Person {
    readonly id: number
    readonly name: string
  }
  const idOf = ({ id }: Pick<Person, 'id'>) => id
  const people = () => new Map([1, 2].map(id => [id, { id, name: `person ${id}` }]))

  it.each([
    [
      'adds a row',
      { operation: 'INSERT', key: { id: 3 }, row: { id: 3, name: 'Ada' } },
      ['1 person 1', '2 person 2', '3 Ada'],
    ],
    [
      'changes a row in place',
      { operation: 'UPDATE', key: { id: 1 }, row: { id: 1, name: 'Ada' } },
      ['1 Ada', '2 person 2'],
    ],
    ['removes a row', { operation: 'DELETE', key: { id: 1 }, row: null }, ['2 person 2']],
    [
      'removes a row that left the filter',
      { operation: 'UPDATE', key: { id: 2 }, row: null },
      ['1 person 1'],
    ],
    [
      'adds a row that entered the filter',
      { operation: 'UPDATE', key: { id: 3 }, row: { id: 3, name: 'Ada' } },
      ['1 person 1', '2 person 2', '3 Ada'],
    ],
    [
      'ignores the removal of an unknown row',
      { operation: 'DELETE', key: { id: 9 }, row: null },
      ['1 person 1', '2 person 2'],
    ],
    ['clears all rows', { operation: 'TRUNCATE', key: null, row: null }, []],
    [
      'adds a row that was there when the subscription began',
      { operation: 'READ', key: { id: 3 }, row: { id: 3, name: 'Ada' } },
      ['1 person 1', '2 person 2', '3 Ada'],
    ],
    [
      'does nothing when the rows are complete',
      { operation: 'READY', key: null, row: null },
      ['1 person 1', '2 person 2'],
    ],
    ['clears all rows when the subscription begins again', { operation: 'RESET', key: null, row: null }, []],
  ])('%s', (_what, change, expected) => {
    const rows = people()
    applyChange(rows, change, idOf)
    expect([...rows].map(([id, { name }]) => `${id} ${name}`)).toEqual(expected)
  })

  it('refuses a change without a key', () => {
    const rows = people()
    expect(() => applyChange(rows, { operation: 'DELETE', key: null, row: null }, idOf)).toThrow('key')
    expect(rows.size).toBe(2)
  })
})
