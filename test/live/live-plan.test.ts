import { describe, expect, it } from 'vitest'
import type { RowsNode } from '../../src/plan/plan.js'
import { column, image, table } from '../support/watched-tables.js'
import { children, count, customers, link, live, orders, rows, toCustomer, toOrders, where } from './shop.js'

describe('a live plan', () => {
  const nested = rows(orders, {
    columns: ['note'],
    orderBy: [{ column: 'total', direction: 'DESC' }],
    children: children({ customer: rows(customers, { columns: ['name'], link: toCustomer, limit: 1 }) }),
  })

  it('reads the columns of links, of the order and of the key as well, and does not show them', () => {
    const { plan, of } = live(nested)
    const root = plan.root as RowsNode
    expect([...root.columns].sort()).toEqual(['customer', 'id', 'note', 'total'])
    expect(of(root).shown).toEqual(['note'])
    const child = root.children.get('customer') as RowsNode
    expect([...child.columns].sort()).toEqual(['id', 'name'])
    expect(of(child).shown).toEqual(['name'])
  })

  it('uses the columns that are shown, sorted by, linking, measured or grouped by, and no others', () => {
    const used = (root: Parameters<typeof live>[0]) => live(root).nodes.map(node => [...node.used].sort())
    expect(used(nested)).toEqual([
      ['id', 'name'],
      ['customer', 'id', 'note', 'total'],
    ])
    const total = orders.columns.find(({ name }) => name === 'total')
    const sum = { function: 'sum', column: total, result: column('sum', 'numeric') } as const
    const groups = {
      kind: 'groups',
      table: orders,
      filter: nested.filter,
      by: ['note'],
      measures: [],
      limit: 9,
    } as const
    expect(
      live(count(orders, { measures: [sum], children: children({ groups }) }))
        .nodes.filter(({ node }) => node.kind === 'aggregate')
        .map(node => [...node.used].sort()),
    ).toEqual([['note', 'total']])
  })

  it('does not use the columns of a filter that an image decides, and uses those of one that it does not', () => {
    const plain = live(rows(orders, { filter: where(orders, { note: { eq: 'x' } }) }))
    expect(plain.nodes[0]?.used).toEqual(['id'])
    expect(plain.conditions).toEqual([])
    const related = live(
      rows(orders, {
        filter: where(
          orders,
          { note: { eq: 'x' }, buyer: { some: { country: { eq: 'DE' } } } },
          { buyer: [toCustomer, customers] },
        ),
      }),
    )
    expect([...(related.nodes[0]?.used ?? [])].sort()).toEqual(['customer', 'id', 'note'])
    expect(related.conditions.map(({ relid, used }) => ({ relid, used }))).toEqual([
      { relid: 'customers', used: [] },
    ])
  })

  it('uses the columns by which a condition on linked rows leads to further ones', () => {
    const inner = where(orders, { note: { eq: 'x' } })
    const middle = { kind: 'related', link: toOrders, negated: false, filter: inner } as const
    const outer = { kind: 'related', link: toCustomer, negated: true, filter: middle } as const
    const { conditions } = live(rows(orders, { filter: outer }))
    expect(conditions.map(({ relid, used }) => ({ relid, used }))).toEqual([
      { relid: 'customers', used: ['id'] },
      { relid: 'orders', used: [] },
    ])
  })
})

describe('the order of a list', () => {
  const compared = (of: typeof orders, node: Partial<RowsNode>, a: object, b: object) => {
    const { compare } = live(rows(of, node), [of]).nodes[0] as { compare: (x: unknown, y: unknown) => number }
    return Math.sign(compare(image(of, JSON.stringify(a)), image(of, JSON.stringify(b))))
  }

  it('is that of the database: NULLs last upwards, first downwards, then by the key', () => {
    const by = (direction: RowsNode['orderBy'][number]['direction']) => ({
      orderBy: [{ column: 'total', direction }],
    })
    expect(compared(orders, by('ASC'), { id: 1, total: 2 }, { id: 1, total: 10 })).toBe(-1)
    expect(compared(orders, by('DESC'), { id: 1, total: 2 }, { id: 1, total: 10 })).toBe(1)
    expect(compared(orders, by('ASC'), { id: 1, total: null }, { id: 1, total: 10 })).toBe(1)
    expect(compared(orders, by('DESC'), { id: 1, total: null }, { id: 1, total: 10 })).toBe(-1)
    expect(compared(orders, by('DESC_NULLS_LAST'), { id: 1, total: null }, { id: 1, total: 10 })).toBe(1)
    expect(compared(orders, by('ASC_NULLS_FIRST'), { id: 1, total: null }, { id: 1, total: 10 })).toBe(-1)
    expect(compared(orders, by('ASC'), { id: 1, total: null }, { id: 2, total: null })).toBe(-1)
    expect(compared(orders, by('ASC'), { id: 3, total: 1 }, { id: 2, total: 1 })).toBe(1)
  })

  it.each([
    ['text', '"B"', '"a"', 'is sorted by its collation'],
    ['other', '"9.0.0.1"', '"10.0.0.1"', 'is sorted by its type'],
    ['json', '{"b":1}', '{"a":2}', 'has no order here'],
    ['composite', '{"b":1}', '{"a":2}', 'has no order here'],
  ] as const)('by a key of type %s is not known: it %s', (category, a, b, _reason) => {
    const keyed = table('keyed', [column('k', category, { notNull: true }), column('n', 'int4')])
    const of = (k: string, n: number) => ({ k: JSON.parse(k), n })
    expect(compared(keyed, {}, of(a, 1), of(b, 1))).toBe(0)
    expect(compared(keyed, {}, of(b, 1), of(a, 1))).toBe(0)
    const byNumber = { orderBy: [{ column: 'n', direction: 'ASC' as const }] }
    expect(compared(keyed, byNumber, of(a, 2), of(b, 1))).toBe(1)
    expect(compared(keyed, byNumber, of(a, 1), of(b, 1))).toBe(0)
  })

  it('of rows without a key and without `orderBy` does not exist', () => {
    const plain = table('plain', [column('n', 'int4')])
    expect(live(rows(plain), [plain]).nodes[0]?.compare).toBeUndefined()
  })

  it('by a column of arrays is not known', () => {
    const listed = table('listed', [column('k', 'int4', { notNull: true, isArray: true })])
    expect(compared(listed, {}, { k: [2] }, { k: [1] })).toBe(0)
  })

  it('does not depend on how rows are linked', () => {
    const self = link(orders, orders, [['id', 'no']])
    const node = rows(orders, { link: self })
    expect(
      live(rows(orders, { children: children({ below: node }) })).nodes.every(({ compare }) => compare),
    ).toBe(true)
  })
})
