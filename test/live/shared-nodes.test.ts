import { describe, expect, it } from 'vitest'
import { createLivePlan } from '../../src/live/live-plan.js'
import { SharedNodes } from '../../src/live/shared-nodes.js'
import type { Plan, RowsNode } from '../../src/plan/plan.js'
import { children, customers, orders, plan, roots, rows, toCustomer, toOrders, where } from './shop.js'

describe('parts of live plans', () => {
  const shared = new SharedNodes()
  const keys = (relid: string) => [customers, orders].find(one => one.relid === relid)?.key ?? []
  const nested = (total: string, more: Partial<RowsNode> = {}) =>
    rows(orders, {
      columns: ['note'],
      filter: where(orders, { total: { gt: total } }),
      children: children({
        customer: rows(customers, {
          columns: ['name'],
          link: toCustomer,
          limit: 1,
          children: children({ orders: rows(orders, { columns: ['no'], link: toOrders }) }),
          ...more,
        }),
      }),
    })
  const prepare = (root: Plan['root'], keyOf = keys) => createLivePlan(plan(root), keyOf, shared)
  const childOf = (live: ReturnType<typeof prepare>) => (live.plan.root as RowsNode).children.get('customer')

  it('are kept once for queries that differ in the filter of the root', () => {
    const [one, other] = [prepare(nested('1')), prepare(nested('2'))]
    expect(childOf(one)).toBe(childOf(other))
    expect(one.plan.root.filter).not.toEqual(other.plan.root.filter)
    expect(one.nodes.filter(node => other.nodes.includes(node)).length).toBe(2)
    expect(one.nodes.length).toBe(3)
  })

  it('are the same as without sharing', () => {
    const alone = createLivePlan(plan(nested('1')), keys)
    const live = prepare(nested('1'))
    expect(live.plan).toEqual(alone.plan)
    const described = ({ nodes }: typeof live) =>
      nodes.map(({ used, shown, relid }) => ({ used, shown, relid }))
    expect(described(live)).toEqual(described(alone))
  })

  it.each<[string, () => ReturnType<typeof prepare>]>([
    ['another filter', () => prepare(nested('1', { filter: where(customers, { name: { eq: 'Ada' } }) }))],
    ['other columns', () => prepare(nested('1', { columns: ['country'] }))],
    ['another limit', () => prepare(nested('1', { limit: 2 }))],
    ['a viewer that may read other keys', () => prepare(nested('1'), () => [])],
    ['a table that was altered', () => prepare(nested('1', { table: { ...customers } }))],
  ])('are different with %s', (_what, other) => {
    expect(childOf(other())).not.toBe(childOf(prepare(nested('1'))))
  })

  it('are different in one plan, where each has its own rows', () => {
    const live = prepare(roots({ a: nested('1'), b: nested('1') }))
    expect(new Set(live.nodes).size).toBe(6)
  })
})
