import { expect, it } from 'vitest'
import { FIRST_VIEW, fitting, isSortable, operatorsOf } from '../../../page/tables/view.js'
import { pageTable } from '../../support/page-tables.js'

it('a column is compared by the operators that its type has', () => {
  expect(operatorsOf({ type: 'JSON' })).toEqual(['isNull'])
  expect(operatorsOf({ type: '[Int]!' })).toEqual(['isNull'])
  expect(operatorsOf({ type: 'String!' })).toContain('ilike')
  expect(operatorsOf({ type: 'Int' })).not.toContain('like')
  expect([isSortable({ type: 'JSON' }), isSortable({ type: 'DateTime!' })]).toEqual([false, true])
})

it('a view loses what an altered table no longer has, and nothing else', () => {
  const condition = { field: 'name', operator: 'like', value: 'a%' } as const
  const view = {
    ...FIRST_VIEW,
    conditions: [condition],
    order: { field: 'name', isDescending: true },
    page: 3,
  }
  const table = pageTable(1, 'id:Int!', 'name:String')
  expect(fitting(view, table)).toEqual(view)
  expect(fitting(view, table).conditions).toBe(view.conditions)
  expect(fitting(view, pageTable(1, 'id:Int!'))).toEqual({ ...FIRST_VIEW, page: 3 })
  // The column has another type now, which has no patterns.
  expect(fitting(view, pageTable(1, 'id:Int!', 'name:Int'))).toMatchObject({
    conditions: [],
    order: view.order,
  })
})
