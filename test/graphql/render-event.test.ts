import { buildSchema, type ExecutionResult, execute, parse } from 'graphql'
import { expect, it } from 'vitest'
import { withoutFalseRemoval } from '../../src/graphql/render-event.js'

const schema = buildSchema(`
  type Row { id: Int!, name: String, tags: [Int] }
  type Change { operation: String!, row: Row, old: Row, key: Row }
  type Query { tChanged: Change! }`)

function run(change: object, document = '{ tChanged { operation now: row { id name tags } old { id } } }') {
  return withoutFalseRemoval(
    execute({ schema, document: parse(document), rootValue: { tChanged: change } }) as ExecutionResult,
  )
}

it('a change whose row is null only because of an error shows nothing', () => {
  const { data, errors } = run({ operation: 'UPDATE', row: { id: null, name: 'a' }, old: { id: 1 } })
  expect(data).toBe(null)
  expect(errors?.[0]?.path).toEqual(['tChanged', 'now', 'id'])
  expect(run({ operation: 'UPDATE', row: { id: 1 }, old: { id: 'no number' } }).data).toBe(null)
})

it('a value that is null without an error, and errors of nullable values, are left unchanged', () => {
  expect(run({ operation: 'DELETE', row: null, old: { id: 1 } })).toEqual({
    data: { tChanged: { operation: 'DELETE', now: null, old: { id: 1 } } },
  })
  const { data, errors } = run({
    operation: 'UPDATE',
    row: { id: 1, name: new Error('not shown') },
    old: null,
  })
  expect(errors).toHaveLength(1)
  expect(data).toEqual({
    tChanged: { operation: 'UPDATE', now: { id: 1, name: null, tags: null }, old: null },
  })
})
