import { describe, expect, it } from 'vitest'
import type { WatchedTable } from '../../src/catalog/watched-table.js'
import { createLivePolicies } from '../../src/live/live-policies.js'
import { type LiveChange, LiveQuery } from '../../src/live/live-query.js'
import type { Plan } from '../../src/plan/plan.js'
import { column, table } from '../support/watched-tables.js'
import { at, children, customers, images, link, live, orders, result, rows, toCustomer } from './shop.js'

const nested = rows(orders, {
  columns: ['note'],
  children: children({ customer: rows(customers, { columns: ['name'], link: toCustomer, limit: 1 }) }),
})

function changeOf(of: WatchedTable, n: number, row: object | null, old: object | null = null): LiveChange {
  return { relid: of.relid, position: at(n), images: images(of, row, old) }
}

/** A query with a result at batch 5. */
function settled(root: Plan['root'] = nested, ...all: unknown[]): LiveQuery {
  const query = new LiveQuery(live(root))
  query.begin()
  query.conclude(
    result(query.live, ...(all.length > 0 ? all : [[{ id: 1, customer: 7 }, [{ id: 7 }]]])),
    at(5),
  )
  return query
}

describe('a live query', () => {
  it('is stale until it has a result, and holds it while no change concerns it', () => {
    const query = new LiveQuery(live(nested))
    expect(query.isStale).toBe(true)
    query.begin()
    expect(query.isReading).toBe(true)
    expect(query.conclude(result(query.live), at(5))).toEqual({ isNew: true, undecided: [] })
    expect(query).toMatchObject({ isStale: false, isReading: false, position: at(5) })
    expect(query.take(changeOf(customers, 6, { id: 7, name: 'Ada' }))).toBe('none')
    expect(query.isStale).toBe(false)
  })

  it('becomes stale by a change of a row that it shows, or that a row of it leads to', () => {
    expect(settled().take(changeOf(orders, 6, { id: 2 }))).toBe('stale')
    expect(settled().take(changeOf(customers, 6, { id: 7, name: 'Ada' }, { id: 7, name: 'Bob' }))).toBe(
      'stale',
    )
    expect(settled().take(changeOf(customers, 6, { id: 8, name: 'Ada' }))).toBe('none')
  })

  it('says so once', () => {
    const query = settled()
    expect(query.take(changeOf(orders, 6, { id: 2 }))).toBe('stale')
    expect(query.take(changeOf(orders, 7, { id: 3 }))).toBe('none')
    expect(query.isStale).toBe(true)
  })

  it('becomes stale by TRUNCATE', () => {
    expect(settled().take({ relid: 'customers', position: at(6), images: undefined })).toBe('stale')
  })

  it('becomes stale by a row of which a value cannot be read', () => {
    const row = { id: 8, name: null, '': { name: 'encoding' } }
    expect(settled().take(changeOf(customers, 6, row))).toBe('stale')
  })

  it('becomes stale by every change if a row leads to others by a value that cannot be read', () => {
    const named = table('named', [column('id', 'text', { notNull: true }), column('up')])
    const up = rows(named, { link: link(named, named, [['up', 'id']]), limit: 1 })
    const query = new LiveQuery(live(rows(named, { limit: 1, children: children({ up }) }), [named]))
    query.begin()
    query.conclude(result(query.live, [{ id: 'a', up: null, '': { up: 'encoding' } }, [{ id: 'z' }]]), at(5))
    expect(query.take(changeOf(named, 6, { id: 'y', up: null }))).toBe('stale')
  })

  it('ignores a change at or before the position of its result', () => {
    const query = settled()
    expect(query.take(changeOf(orders, 4, { id: 2 }))).toBe('none')
    expect(query.take(changeOf(orders, 5, { id: 2 }))).toBe('none')
    expect(query.take({ relid: 'orders', position: at(5), images: undefined })).toBe('none')
    expect(query.isStale).toBe(false)
    expect(query.take(changeOf(orders, 6, { id: 2 }))).toBe('stale')
  })

  it('looks at the changes that arrive during a read once it has the result, by the rows of that result', () => {
    const query = settled()
    const change = changeOf(customers, 7, { id: 8, name: 'Ada' })
    query.begin()
    expect(query.take(change)).toBe('none')
    expect(query.isStale).toBe(false)
    query.conclude(result(query.live, [{ id: 1, customer: 8 }, [{ id: 8 }]]), at(6))
    expect(query.isStale).toBe(true)
  })

  it('ignores changes during a read that the result has, or that concern only the former one', () => {
    const query = settled()
    query.begin()
    query.take(changeOf(orders, 6, { id: 2 }))
    query.take(changeOf(customers, 7, { id: 7, name: 'Ada' }))
    query.conclude(result(query.live, [{ id: 1, customer: 8 }, [{ id: 8 }]]), at(6))
    expect(query.isStale).toBe(false)
  })

  it('is read again if too many changes arrive during a read, whatever they are', () => {
    const query = settled()
    const elsewhere = changeOf(customers, 7, { id: 1000 })
    query.begin()
    for (let i = 0; i < 1000; i++) query.take(elsewhere)
    query.conclude(result(query.live), at(6))
    expect(query.isStale).toBe(false)
    query.begin()
    for (let i = 0; i < 1001; i++) query.take(elsewhere)
    query.conclude(result(query.live), at(6))
    expect(query.isStale).toBe(true)
  })

  it('is stale after a read that fails, and takes up its changes with the next', () => {
    const query = settled()
    query.begin()
    query.take(changeOf(orders, 6, { id: 2 }))
    query.fail()
    expect(query).toMatchObject({ isStale: true, isReading: false, position: at(5) })
  })

  it('is read again after the end of a history, also if that happens during a read', () => {
    const query = settled()
    query.forget()
    expect(query).toMatchObject({ isStale: true, position: undefined })
    query.begin()
    query.forget()
    query.conclude(result(query.live), at(1))
    expect(query).toMatchObject({ isStale: true, position: at(1) })
    query.begin()
    query.conclude(result(query.live), at(1))
    expect(query.isStale).toBe(false)
  })

  it('says whether a result differs from the one before', () => {
    const query = settled()
    const read = (note: string) => {
      query.begin()
      return query.conclude(result(query.live, [{ id: 1, note, customer: 8 }, []]), at(6)).isNew
    }
    expect(read('x')).toBe(true)
    expect(read('x')).toBe(false)
    expect(read('y')).toBe(true)
  })
})

describe('a live query of a viewer under policies', () => {
  /** Policies decide by the owner of an order; memberships decide, too. */
  const policies = createLivePolicies(
    new Map([['orders', [column('shop')]]]),
    new Map([['members', [column('org')]]]),
  )
  const secured = () => {
    const query = new LiveQuery(live(nested), policies)
    query.begin()
    query.conclude(result(query.live, [{ id: 1, customer: 7 }, [{ id: 7 }]]), at(5))
    return query
  }
  const insert = changeOf(orders, 6, { id: 2, shop: 'x' })

  it('leaves the decision about a changed row to them, and becomes stale only if the viewer sees the row', () => {
    const query = secured()
    expect([query.take(insert), query.isStale, query.isUndecided]).toEqual(['hidden?', false, true])
    expect([query.decide(insert, false), query.isStale, query.isUndecided]).toEqual(['none', false, false])
    query.take(insert)
    expect([query.decide(insert, true), query.isStale, query.isUndecided]).toEqual(['stale', true, false])
  })

  it('does not need them for a table without policies, or where an image does not show what they read', () => {
    expect(secured().take(changeOf(customers, 6, { id: 7, name: 'Ada' }, { id: 7 }))).toBe('stale')
    expect(secured().take(changeOf(orders, 6, { id: 2, shop: null, '': { shop: 'encoding' } }))).toBe('stale')
  })

  it('forgets a decision about a change that a later result shows', () => {
    const query = secured()
    query.take(insert)
    query.begin()
    query.conclude(result(query.live), at(6))
    expect(query.decide(insert, true)).toBe('none')
    expect(query.isStale).toBe(false)
  })

  it('takes a decision that comes during a read, and returns the changes of the read that need one', () => {
    const query = secured()
    query.take(insert)
    query.begin()
    const during = changeOf(orders, 7, { id: 3, shop: 'x' })
    query.take(during)
    expect(query.decide(insert, true)).toBe('none')
    expect(query.conclude(result(query.live), at(5)).undecided).toEqual([])
    expect(query.isStale).toBe(true)
    query.begin()
    query.take(during)
    expect(query.conclude(result(query.live), at(6)).undecided).toEqual([during])
    expect([query.isStale, query.isUndecided]).toEqual([false, true])
  })
})
