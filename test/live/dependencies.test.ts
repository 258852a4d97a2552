import { describe, expect, it } from 'vitest'
import type { TableColumn } from '../../src/catalog/watched-table.js'
import { dependenciesOf } from '../../src/live/dependencies.js'
import type { LivePlan } from '../../src/live/live-plan.js'
import type { TypeCategory } from '../../src/postgres/types.js'
import { column, table } from '../support/watched-tables.js'
import {
  children,
  count,
  customers,
  link,
  live,
  orders,
  result,
  roots,
  rows,
  toCustomer,
  toOrders,
} from './shop.js'

const heldOf = (of: LivePlan, ...all: readonly unknown[]) => {
  const { held } = dependenciesOf(of, result(of, ...all))
  return Object.fromEntries(
    [...held].map(([{ relid }, keys]) => [relid, [...keys].map(([key, last]) => [key, last?.json('id')])]),
  )
}
const digestOf = (of: LivePlan, ...all: readonly unknown[]) => dependenciesOf(of, result(of, ...all)).digest

describe('what a result rests on', () => {
  const nested = live(
    rows(orders, {
      limit: 2,
      children: children({ customer: rows(customers, { columns: ['name'], link: toCustomer, limit: 1 }) }),
    }),
  )

  it('are the keys by which its rows lead to others, each once, whether a row is there or not', () => {
    const { size } = dependenciesOf(
      nested,
      result(nested, [{ id: 1, customer: 7 }, []], [{ id: 2, customer: 7 }, []]),
    )
    expect(size).toBe(2) // the root, and customer 7
    expect(heldOf(nested, [{ id: 1, customer: 7 }, [{ id: 7.0, name: 'Ada' }]])).toEqual({
      orders: [['', undefined]],
      customers: [['1:7', undefined]], // the only one, so that none is after it
    })
  })

  it('leads nowhere by NULL', () => {
    expect(heldOf(nested, [{ id: 1, customer: null }, null])).toEqual({ orders: [['', undefined]] })
  })

  it('is the last row of a list that is full, and no row of one that is not', () => {
    const full = [
      [{ id: 1, customer: 7 }, []],
      [{ id: 2, customer: 8 }, []],
    ] as const
    expect(heldOf(nested, ...full).orders).toEqual([['', '2']])
    expect(heldOf(nested, full[0]).orders).toEqual([['', undefined]])
    expect(heldOf(live(rows(orders, { limit: 0 }))).orders).toEqual([['', undefined]])
  })

  it('are the rows of an aggregate, once for it and for its groups', () => {
    const groups = {
      kind: 'groups',
      table: orders,
      filter: count(orders).filter,
      link: toOrders,
      by: ['note'],
      measures: [],
      limit: 9,
    } as const
    const of = live(
      rows(customers, {
        children: children({ orders: count(orders, { link: toOrders, children: children({ groups }) }) }),
      }),
    )
    const row = [{ id: 1.5 }, [[{ count: 2 }, [{ note: 'x' }]]]]
    expect(heldOf(of, row)).toEqual({ customers: [['', undefined]], orders: [['3:1.5', undefined]] })
  })

  it('are all roots', () => {
    const of = live(roots({ a: rows(orders, { limit: 1 }), b: count(customers) }))
    expect(heldOf(of, [{}, [{ id: 4 }], [{ count: 0 }]])).toEqual({
      orders: [['', '4']],
      customers: [['', undefined]],
    })
  })

  it('is any row of the table of a link whose values have no key, and no full list', () => {
    const docs = table('docs', [column('id', 'json', { notNull: true }), column('up', 'json')])
    const up = link(docs, docs, [['up', 'id']])
    const of = live(rows(docs, { children: children({ up: rows(docs, { link: up, limit: 1 }) }) }), [docs])
    const { held, size } = dependenciesOf(
      of,
      result(of, [{ id: { a: 1 }, up: { b: 1 } }, [{ id: { b: 1 } }]], [{ id: 2, up: [3] }, [{ id: [3] }]]),
    )
    expect([...held.values()].map(keys => [...keys])).toEqual([[['', undefined]], [['', undefined]]])
    expect(size).toBe(2)
  })

  it('is everything if a row leads to others by a value that cannot be read', () => {
    const named = table('named', [column('id', 'text', { notNull: true }), column('up'), column('note')])
    const up = link(named, named, [['up', 'id']])
    const of = live(
      rows(named, { columns: ['note'], children: children({ up: rows(named, { link: up, limit: 1 }) }) }),
      [named],
    )
    const isOpen = (image: object) => dependenciesOf(of, result(of, [image, []])).isOpen
    expect(isOpen({ id: 'a', up: null, note: 'x', '': { up: 'encoding' } })).toBe(true)
    expect(isOpen({ id: 'a', up: null, note: null, '': { note: 'encoding' } })).toBe(false)
    expect(isOpen({ id: 'a', up: null, note: 'x' })).toBe(false)
  })
})

describe('the digest of a result', () => {
  const tree = table('tree', [column('id', 'int4', { notNull: true }), column('up', 'int4')])
  const below = link(tree, tree, [['id', 'up']])
  const two = rows(tree, { link: below })
  const of = live(
    rows(tree, { children: children({ below: { ...two, children: children({ below: two }) } }) }),
    [tree],
  )

  it('differs if a row moves to another list', () => {
    const grandchild = [
      [
        { id: 1 },
        [
          [{ id: 2, up: 1 }, [{ id: 3, up: 2 }]],
          [{ id: 4, up: 1 }, []],
        ],
      ],
    ]
    const root = [
      [{ id: 1 }, [[{ id: 2, up: 1 }, [{ id: 3, up: 2 }]]]],
      [{ id: 4 }, []],
    ]
    expect(digestOf(of, ...root)).not.toBe(digestOf(of, ...grandchild))
  })

  it('differs if a value that shows differs, be it in its digits or its order only', () => {
    const sorted = live(rows(orders, { columns: ['total'] }))
    expect(digestOf(sorted, { total: 1 }, { total: 2 })).not.toBe(
      digestOf(sorted, { total: 2 }, { total: 1 }),
    )
    expect(digestOf(sorted, { total: 1, id: 1 })).toBe(digestOf(sorted, { total: 1, id: 2 }))
  })

  it('differs if a value cannot be read any more, or can again', () => {
    const notes = live(rows(orders, { columns: ['note'] }))
    const unreadable = digestOf(notes, { id: 1, note: null, '': { note: 'encoding' } })
    expect(unreadable).not.toBe(digestOf(notes, { id: 1, note: null }))
    expect(unreadable).not.toBe(digestOf(notes, { id: 1, note: null, '': { note: 17 } }))
  })

  it('differs if a column has got a type that shows its values otherwise, not if it shows them alike', () => {
    const shownAs = (category: TypeCategory, more: Partial<TableColumn> = {}) =>
      digestOf(live(rows(table('t', [column('id', category, more)]), { columns: ['id'] })), { id: 1 })
    const text = shownAs('text', { baseType: 'text', typeName: 'text' })
    expect(shownAs('text', { baseType: 'varchar', typeName: 'character varying(20)' })).toBe(text)
    const mood = { baseType: 'mood', enumSchema: 'public', typeName: 'mood' }
    const others = [
      text,
      shownAs('text', { isArray: true, typeName: 'text[]' }),
      shownAs('int4'),
      shownAs('int8'),
      shownAs('enum', mood),
      shownAs('enum', { ...mood, enumSchema: 'other' }),
      shownAs('enum', { ...mood, baseType: 'grade' }),
    ]
    expect(new Set(others).size).toBe(others.length)
  })

  it('differs if groups or measures do', () => {
    const of = live(count(orders))
    expect(digestOf(of, { count: 1 })).not.toBe(digestOf(of, { count: 2 }))
  })
})
