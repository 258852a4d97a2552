import { describe, expect, it } from 'vitest'
import type { WatchedTable } from '../../src/catalog/watched-table.js'
import { type Held, isUnclear, sways, touches } from '../../src/live/touches.js'
import type { AggregateNode, RowsNode } from '../../src/plan/plan.js'
import { column, image } from '../support/watched-tables.js'
import {
  count,
  customers,
  images,
  live,
  orders,
  rows,
  toCustomer,
  toOrders,
  toProduct,
  where,
} from './shop.js'

const nodeOf = (root: RowsNode | AggregateNode) => {
  const found = live(root).nodes.find(({ node }) => node.kind !== 'groups')
  if (!found) throw new TypeError('no node')
  return found
}
const ROOT: Held = { key: undefined, last: undefined }

/** Whether a change of an order shows in what is held. */
const shows = (
  root: RowsNode | AggregateNode,
  held: Held,
  row: object | null,
  old: object | null,
  of: WatchedTable = orders,
) => touches(nodeOf(root), held, images(of, row, old))

describe('a change of a root', () => {
  const cheap = rows(orders, { columns: ['note'], filter: where(orders, { total: { lt: 10 } }) })

  it('shows if the row matches before or after it', () => {
    expect(shows(cheap, ROOT, { id: 1, total: 5 }, null)).toBe(true)
    expect(shows(cheap, ROOT, null, { id: 1, total: 5 })).toBe(true)
    expect(shows(cheap, ROOT, { id: 1, total: 5 }, { id: 1, total: 50 })).toBe(true)
    expect(shows(cheap, ROOT, { id: 1, total: 50 }, { id: 1, total: 5 })).toBe(true)
    expect(shows(cheap, ROOT, { id: 1, total: 50 }, { id: 1, total: 60 })).toBe(false)
    expect(shows(cheap, ROOT, { id: 1, total: null }, null)).toBe(false)
  })

  it('of a row that matches before and after does not show in columns that nothing uses', () => {
    const old = { id: 1, total: 5, note: 'x', shop: 'a' }
    expect(shows(cheap, ROOT, { ...old, shop: 'b' }, old)).toBe(false)
    expect(shows(cheap, ROOT, { ...old, total: 6 }, old)).toBe(false)
    expect(shows(cheap, ROOT, { ...old, note: 'y' }, old)).toBe(true)
    expect(shows(cheap, ROOT, { ...old, note: null }, old)).toBe(true)
  })

  it('shows in the digits of a number', () => {
    const totals = rows(orders, { columns: ['total'] })
    const change = (row: string, old: string) => ({ row: image(orders, row), old: image(orders, old) })
    expect(touches(nodeOf(totals), ROOT, change('{"id":1,"total":1.00}', '{"id":1,"total":1}'))).toBe(true)
  })

  it('shows in an aggregate if it changes a measured column', () => {
    const measure = {
      function: 'sum',
      column: column('total', 'numeric'),
      result: column('sum', 'numeric'),
    } as const
    const sum = count(orders, { measures: [measure] })
    const old = { id: 1, total: 5, note: 'x' }
    expect(shows(sum, ROOT, { ...old, note: 'y' }, old)).toBe(false)
    expect(shows(sum, ROOT, { ...old, total: 6 }, old)).toBe(true)
    expect(shows(count(orders), ROOT, { ...old, total: 6 }, old)).toBe(false)
    expect(shows(count(orders), ROOT, null, old)).toBe(true)
  })
})

describe('a change of a linked row', () => {
  const linked = rows(orders, { link: toOrders, columns: ['note'] })
  const held: Held = { key: '1:7', last: undefined }

  it('shows if the row is linked before or after it: by its former foreign key, too', () => {
    expect(shows(linked, held, { id: 1, customer: 7 }, null)).toBe(true)
    expect(shows(linked, held, { id: 1, customer: 8 }, { id: 1, customer: 7 })).toBe(true)
    expect(shows(linked, held, { id: 1, customer: 7 }, { id: 1, customer: 8 })).toBe(true)
    expect(shows(linked, held, { id: 1, customer: null }, { id: 1, customer: 7 })).toBe(true)
    expect(shows(linked, held, { id: 1, customer: 8 }, { id: 1, customer: 9 })).toBe(false)
    expect(shows(linked, held, { id: 1, customer: null }, null)).toBe(false)
  })

  it('shows if the referenced row is inserted, deleted, or gets another key', () => {
    const forward = rows(customers, { link: toCustomer, columns: ['name'], limit: 1 })
    const change = (row: object | null, old: object | null) => shows(forward, held, row, old, customers)
    expect(change({ id: 7, name: 'Ada' }, null)).toBe(true)
    expect(change(null, { id: 7, name: 'Ada' })).toBe(true)
    expect(change({ id: 7, name: 'Ada' }, { id: 7, name: 'Bob' })).toBe(true)
    expect(change({ id: 7, name: 'Ada', note: 'x' }, { id: 7, name: 'Ada' })).toBe(false)
    expect(change({ id: 8, name: 'Ada' }, { id: 7, name: 'Ada' })).toBe(true)
    expect(change({ id: 8, name: 'Ada' }, null)).toBe(false)
  })

  it('shows by the value of its key and not by its text', () => {
    const forward = nodeOf(rows(customers, { link: toCustomer, limit: 1 }))
    const change = { row: image(customers, '{"id":7.00}'), old: null }
    expect(touches(forward, held, change)).toBe(true)
  })

  it('does not show if only one of several columns agrees', () => {
    const product = rows(orders, { link: toProduct })
    const of: Held = { key: '1:a1:4', last: undefined }
    const change = (shop: string | null, no: number | null) =>
      touches(
        {
          ...nodeOf(rows(orders)),
          link: { ...toProduct, pairs: toProduct.pairs.map(pair => ({ ...pair, remote: pair.local })) },
        },
        of,
        images(orders, { id: 1, shop, no }, null),
      )
    expect(product.link?.pairs.length).toBe(2)
    expect(change('a', 4)).toBe(true)
    expect(change('a', 5)).toBe(false)
    expect(change('b', 4)).toBe(false)
    expect(change('a', null)).toBe(false)
  })
})

describe('a change beyond the end of a full list', () => {
  const byTotal = rows(orders, {
    columns: ['note'],
    orderBy: [{ column: 'total', direction: 'ASC' }],
    limit: 2,
  })
  const held: Held = { key: undefined, last: image(orders, '{"id":5,"total":10}') }
  const order = (total: number | null, id = 9, note = 'x') => ({ id, total, note })

  it('does not show while the row is after the last one before and after it', () => {
    expect(shows(byTotal, held, order(11), null)).toBe(false)
    expect(shows(byTotal, held, null, order(11))).toBe(false)
    expect(shows(byTotal, held, order(12), order(11))).toBe(false)
    expect(shows(byTotal, held, order(null), order(11))).toBe(false)
    expect(shows(byTotal, held, order(11, 9, 'y'), order(11))).toBe(false)
  })

  it('shows if the row is in the list, or before it, at one of the two times', () => {
    expect(shows(byTotal, held, order(9), null)).toBe(true)
    expect(shows(byTotal, held, order(9), order(11))).toBe(true)
    expect(shows(byTotal, held, order(11), order(9))).toBe(true)
    expect(shows(byTotal, held, null, order(9))).toBe(true)
    expect(shows(byTotal, held, order(10, 4), null)).toBe(true)
    expect(shows(byTotal, held, order(10, 5, 'y'), order(10, 5))).toBe(true)
    expect(shows(byTotal, held, order(10, 6), null)).toBe(false)
  })

  it('shows if the list is not full', () => {
    expect(shows(byTotal, ROOT, order(11), null)).toBe(true)
  })

  it('shows among rows that the order does not tell apart', () => {
    const keyless = { ...orders, key: [] }
    const byNote = live(
      rows(keyless, { columns: ['total'], orderBy: [{ column: 'note', direction: 'ASC' }], limit: 1 }),
      [keyless],
    )
    const last = image(keyless, '{"note":"m"}')
    const change = (note: string) =>
      touches(byNote.nodes[0] as never, { key: undefined, last }, images(keyless, { note, total: 1 }, null))
    expect(change('m')).toBe(true)
    expect(change('n')).toBe(false)
  })
})

describe('a change of a row of a condition', () => {
  const related = where(
    orders,
    { buyer: { some: { country: { eq: 'DE' } } } },
    { buyer: [toCustomer, customers] },
  )
  const condition = live(rows(orders, { filter: related })).conditions[0] as Parameters<typeof sways>[0]
  const decides = (row: object | null, old: object | null) => sways(condition, images(customers, row, old))

  it('decides if the row begins or ceases to match, or to be linked', () => {
    expect(decides({ id: 1, country: 'DE' }, null)).toBe(true)
    expect(decides(null, { id: 1, country: 'DE' })).toBe(true)
    expect(decides({ id: 1, country: 'DE' }, { id: 1, country: 'FR' })).toBe(true)
    expect(decides({ id: 1, country: 'FR' }, { id: 1, country: 'DE' })).toBe(true)
    expect(decides({ id: 2, country: 'DE' }, { id: 1, country: 'DE' })).toBe(true)
    expect(decides({ id: 1, country: 'DE', name: 'Ada' }, { id: 1, country: 'DE', name: 'Bob' })).toBe(false)
    expect(decides({ id: 1, country: 'FR' }, { id: 1, country: 'UK' })).toBe(false)
  })

  it('decides if the column changes by which it leads to further rows', () => {
    const some = where(orders, { note: { eq: 'x' } })
    const inner = { kind: 'related', link: toCustomer, negated: false, filter: some } as const
    const nested = { kind: 'related', link: toOrders, negated: true, filter: inner } as const
    const [outer] = live(rows(customers, { filter: nested })).conditions
    const change = (row: object, old: object) => sways(outer as never, images(orders, row, old))
    expect(change({ id: 1, customer: 7, total: 1 }, { id: 1, customer: 8, total: 1 })).toBe(true)
    expect(change({ id: 1, customer: 7, total: 1 }, { id: 1, customer: 7, total: 2 })).toBe(false)
  })

  it('shows in a list whose filter an image does not decide, by the column that leads to the condition', () => {
    const list = rows(orders, { columns: ['note'], filter: related })
    const old = { id: 1, customer: 7, note: 'x', total: 1 }
    expect(shows(list, ROOT, { ...old, customer: 8 }, old)).toBe(true)
    expect(shows(list, ROOT, { ...old, total: 2 }, old)).toBe(false)
  })

  it('may show a full list in another order, unless the row is after its end before and after', () => {
    const list = rows(orders, { columns: ['note'], filter: related, limit: 1 })
    const held: Held = { key: undefined, last: image(orders, '{"id":5}') }
    expect(shows(list, held, { id: 6, customer: 8 }, { id: 6, customer: 7 })).toBe(false)
    expect(shows(list, held, { id: 4, customer: 8 }, { id: 4, customer: 7 })).toBe(true)
  })
})

it('images of which a value cannot be read are unclear', () => {
  expect(isUnclear(images(orders, { id: 1, note: null, '': { note: 'encoding' } }, null))).toBe(true)
  expect(isUnclear(images(orders, null, { id: 1, note: null, '': { note: 7 } }))).toBe(true)
  expect(isUnclear(images(orders, { id: 1, note: null }, null))).toBe(false)
})
