import { describe, expect, it } from 'vitest'
import type { WatchedTable } from '../../src/catalog/watched-table.js'
import { LiveIndex } from '../../src/live/live-index.js'
import { LiveQuery } from '../../src/live/live-query.js'
import type { Plan } from '../../src/plan/plan.js'
import { column, table } from '../support/watched-tables.js'
import {
  at,
  children,
  customers,
  images,
  link,
  live,
  orders,
  products,
  result,
  rows,
  TABLES,
  toCustomer,
  toProduct,
  where,
} from './shop.js'

function createIndex() {
  const index = new LiveIndex()
  const names = new Map<LiveQuery, string>()

  function read(query: LiveQuery, ...all: readonly unknown[]): void {
    query.begin()
    index.reads(query)
    query.conclude(result(query.live, ...all), at(1))
    index.link(query)
  }

  return {
    index,
    read,
    add(name: string, root: Plan['root'], known: readonly WatchedTable[] = TABLES): LiveQuery {
      const query = new LiveQuery(live(root, known))
      names.set(query, name)
      index.add(query)
      return query
    },
    /** The names of the queries that a change may concern. */
    found(of: WatchedTable, row: object | null, old: object | null = null): string[] {
      const all: string[] = []
      const change = { relid: of.relid, position: at(2), images: images(of, row, old) }
      index.visit(change, query => all.push(names.get(query) as string))
      return all.sort()
    },
    truncated(of: WatchedTable): string[] {
      const all: string[] = []
      index.visit({ relid: of.relid, position: at(2), images: undefined }, query =>
        all.push(names.get(query) as string),
      )
      return all.sort()
    },
  }
}

const withCustomer = rows(orders, {
  filter: where(orders, { id: { eq: 1 } }),
  children: children({ customer: rows(customers, { link: toCustomer, limit: 1 }) }),
})

describe('the index of live queries', () => {
  it('finds a query by the filter of its root, before and after a change', () => {
    const { add, read, found } = createIndex()
    for (const id of [1, 2])
      read(add(`order ${id}`, rows(orders, { filter: where(orders, { id: { eq: id } }) })))
    read(add('all', rows(orders)))
    expect(found(orders, { id: 1 })).toEqual(['all', 'order 1'])
    expect(found(orders, { id: 3 }, { id: 2 })).toEqual(['all', 'order 2'])
    expect(found(customers, { id: 1 })).toEqual([])
  })

  it('finds a query by the keys that its result holds, before and after a change, by value', () => {
    const { add, read, found } = createIndex()
    const query = add('order 1', withCustomer)
    read(query, [{ id: 1, customer: 7 }, []])
    expect(found(customers, { id: 7 })).toEqual(['order 1'])
    expect(found(customers, { id: 8 }, { id: 7 })).toEqual(['order 1'])
    expect(found(customers, { id: 8 })).toEqual([])
    read(query, [{ id: 1, customer: 8 }, []])
    expect(found(customers, { id: 7 })).toEqual([])
    expect(found(customers, { id: 8 })).toEqual(['order 1'])
  })

  it('finds a query once, by whatever it is found', () => {
    const { add, read, found } = createIndex()
    const self = link(orders, orders, [['no', 'id']])
    const all = rows(orders, {
      children: children({ up: rows(orders, { link: self }), again: rows(orders, { link: self }) }),
    })
    read(add('all', all), [{ id: 1, no: 2 }, [], []])
    expect(found(orders, { id: 2 }, { id: 2 })).toEqual(['all'])
  })

  it('finds a query for every change of its tables while it is read', () => {
    const { add, index, found } = createIndex()
    const query = add('order 1', withCustomer)
    query.begin()
    index.reads(query)
    expect(found(customers, { id: 99 })).toEqual(['order 1'])
    query.conclude(result(query.live), at(1))
    index.link(query)
    expect(found(customers, { id: 99 })).toEqual([])
  })

  it('finds the queries of a table by TRUNCATE, and by a row of which a value cannot be read', () => {
    const { add, read, found, truncated } = createIndex()
    read(add('order 1', withCustomer), [{ id: 1, customer: 7 }, []])
    const one = [table('one', [column('id', 'int4', { notNull: true })])] as const
    read(add('other', rows(one[0]), one))
    expect(truncated(customers)).toEqual(['order 1'])
    expect(found(customers, { id: 99, name: null, '': { name: 'encoding' } })).toEqual(['order 1'])
    expect(found(customers, null, { id: 99, name: null, '': { name: 'encoding' } })).toEqual(['order 1'])
  })

  it('finds queries by the conditions on linked rows in their filters', () => {
    const { add, read, found } = createIndex()
    const filter = where(
      orders,
      { buyer: { none: { country: { eq: 'DE' } } } },
      { buyer: [toCustomer, customers] },
    )
    read(add('not german', rows(orders, { filter })))
    expect(found(customers, { id: 1, country: 'DE' })).toEqual(['not german'])
    expect(found(customers, { id: 1, country: 'FR' }, { id: 1, country: 'DE' })).toEqual(['not german'])
    expect(found(customers, { id: 1, country: 'FR' })).toEqual([])
  })

  it('finds queries by keys of several columns', () => {
    const { add, read, found } = createIndex()
    const root = rows(orders, {
      children: children({ product: rows(products, { link: toProduct, limit: 1 }) }),
    })
    read(add('all', root), [{ id: 1, shop: 'a', no: 4 }, []])
    expect(found(products, { shop: 'a', no: 4 })).toEqual(['all'])
    expect(found(products, { shop: 'a', no: 5 })).toEqual([])
    expect(found(products, { shop: 'a', no: 5 }, { shop: 'a', no: 4 })).toEqual(['all'])
  })

  it('finds a query with an inexact link for every change of the linked table', () => {
    const { add, read, found } = createIndex()
    const tags = table('tags', [column('name', 'citext', { notNull: true })])
    const posts = table('posts', [column('id', 'int4', { notNull: true }), column('tag', 'citext')])
    const known = [tags, posts]
    const tag = rows(tags, { link: link(posts, tags, [['tag', 'name']]), limit: 1 })
    read(add('posts', rows(posts, { children: children({ tag }) }), known), [{ id: 1, tag: 'x' }, []])
    expect(found(tags, { name: 'Y' })).toEqual(['posts'])
  })

  it('finds a query for every change if a row leads to others by a value that cannot be read', () => {
    const { add, read, found } = createIndex()
    const named = table('named', [column('id', 'text', { notNull: true }), column('up')])
    const up = rows(named, { link: link(named, named, [['up', 'id']]), limit: 1 })
    const query = add(
      'a',
      rows(named, { filter: where(named, { id: { eq: 'a' } }), children: children({ up }) }),
      [named],
    )
    read(query, [{ id: 'a', up: null, '': { up: 'encoding' } }, [{ id: 'z' }]])
    expect(found(named, { id: 'y' })).toEqual(['a'])
    read(query, [{ id: 'a', up: null }, []])
    expect(found(named, { id: 'y' })).toEqual([])
  })

  it('does not find a query that was removed', () => {
    const { add, read, found, truncated, index } = createIndex()
    const query = add('order 1', withCustomer)
    read(query, [{ id: 1, customer: 7 }, []])
    const other = add('order 1 again', withCustomer)
    read(other, [{ id: 1, customer: 7 }, []])
    index.remove(query)
    expect(found(customers, { id: 7 })).toEqual(['order 1 again'])
    expect(found(orders, { id: 1 })).toEqual(['order 1 again'])
    index.reads(other)
    index.remove(other)
    index.remove(other)
    expect([...found(customers, { id: 7 }), ...found(orders, { id: 1 }), ...truncated(orders)]).toEqual([])
  })

  it('keeps a key that another part of the same query holds', () => {
    const { add, read, found } = createIndex()
    const by = (name: 'id' | 'no') =>
      rows(customers, { link: link(orders, customers, [[name, 'id']]), limit: 1 })
    const query = add('both', rows(orders, { children: children({ a: by('id'), b: by('no') }) }))
    read(query, [{ id: 7, no: 7 }, [], []])
    expect(found(customers, { id: 7 })).toEqual(['both'])
    read(query, [{ id: 8, no: 7 }, [], []])
    expect(found(customers, { id: 7 })).toEqual(['both'])
    expect(found(customers, { id: 8 })).toEqual(['both'])
  })
})
