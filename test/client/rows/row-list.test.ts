import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createRowList } from '../../../src/client/rows/row-list.js'

interface Row {
  readonly id: number
  readonly v: number
}
interface Change {
  readonly operation: string
  readonly key: { readonly id: number } | null
  readonly row: Row | null
}

const create = (compare?: (a: Row, b: Row) => number, maxRows = 1000) =>
  createRowList<Row, Change>({ idOf: ({ key }) => key?.id, compare, maxRows })
const put = (id: number, v: number, operation = 'UPDATE'): Change => ({
  operation,
  key: { id },
  row: { id, v },
})
const remove = (id: number): Change => ({ operation: 'DELETE', key: { id }, row: null })
const TRUNCATE: Change = { operation: 'TRUNCATE', key: null, row: null }

const id = fc.integer({ min: 1, max: 6 })
const change = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(id, fc.nat(3)).map(([id, v]) => put(id, v)) },
  { weight: 3, arbitrary: id.map(remove) },
  { weight: 1, arbitrary: fc.constant(TRUNCATE) },
)
const batch = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ is: fc.constant('changes'), changes: fc.array(change, { maxLength: 4 }) }),
  },
  {
    weight: 1,
    arbitrary: fc
      .uniqueArray(id)
      .map(ids => ({ is: 'rows', changes: ids.map(id => put(id, id % 4, 'READ')) })),
  },
)

it('the list equals the rows in their order, rows keep their identity, and the array changes only with them', () => {
  fc.assert(
    fc.property(fc.array(batch), fc.boolean(), (batches, isSorted) => {
      const compare = isSorted ? (a: Row, b: Row) => a.v - b.v || a.id - b.id : undefined
      const list = create(compare)
      let model: Row[] = []
      for (const { is, changes } of batches) {
        const before = list.rows()
        if (is === 'rows') {
          model = changes.map(({ row }) => row as Row)
          list.replace(changes)
        } else {
          for (const { operation, key, row } of changes) {
            const at = model.findIndex(({ id }) => id === key?.id)
            if (operation === 'TRUNCATE') model = []
            else if (row && at >= 0) model[at] = row
            else if (row) model.push(row)
            else if (at >= 0) model.splice(at, 1)
          }
          const hasChanged = list.apply(changes)
          if (!hasChanged) expect(list.rows()).toBe(before)
        }
        const after = list.rows()
        expect(after).toEqual(compare ? model.toSorted(compare) : model)
        expect(list.rows()).toBe(after)
        if (JSON.stringify(after) === JSON.stringify(before) && is === 'rows') expect(after).toBe(before)
        const touched = new Set(changes.map(({ key }) => key?.id))
        const isCleared = changes.includes(TRUNCATE)
        for (const row of before) {
          const now = after.find(({ id }) => id === row.id)
          if (now && !isCleared && (is === 'rows' ? now.v === row.v : !touched.has(row.id)))
            expect(now).toBe(row)
        }
      }
    }),
  )
})

it('a change that leaves a row as it was is none', () => {
  const list = create()
  list.replace([put(1, 1)])
  expect(list.apply([put(1, 1), remove(2)])).toBe(false)
  expect(list.apply([put(1, 2)])).toBe(true)
})

it('more rows than `maxRows` are refused, with what to do', () => {
  const list = create(undefined, 2)
  list.replace([put(1, 1), put(2, 1)])
  expect(() => list.apply([put(3, 1)])).toThrow('more than 2 rows: raise `maxRows`')
})

it('a change without a key is refused, with what to do', () => {
  expect(() => create().replace([{ operation: 'READ', key: null, row: { id: 1, v: 1 } }])).toThrow(
    'select key',
  )
})
