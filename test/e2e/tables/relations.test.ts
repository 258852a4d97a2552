import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { query } from '../../support/graphql-request.js'
import { createLive, type Live } from '../../support/live.js'
import { createLog, type TestLog } from '../../support/log.js'

let log: TestLog
let live: Live

beforeAll(async () => {
  log = await createLog()
  await log.query(`
    create type state as enum ('open', 'paid');
    create table customers (id int primary key, name text not null, country text, boss_id int references customers);
    create table orders (id int8 primary key, customer_id int references customers, state state not null default 'open', total numeric(10, 2), at timestamptz);
    create table items (order_id int8 references orders, no int, name text, price numeric, weight real, primary key (order_id, no));
    create table profiles (customer_id int primary key references customers, bio json);
    create table teams (org int, no int, name text, primary key (org, no));
    create table matches (id int primary key, home_org int, home_no int, away_org int, away_no int,
      constraint home foreign key (home_org, home_no) references teams, constraint away foreign key (away_no, away_org) references teams (no, org));
    comment on constraint away on matches is '@graphql({"foreign_name": "guests", "local_name": "visits"})'`)
  await log.watch('customers', 'orders', 'items', 'profiles', 'teams', 'matches')
  await log.query(`
    insert into customers values (1, 'Ada', 'UK', null), (2, 'Bob', 'DE', 1), (3, 'Cy', 'DE', 1), (4, 'Di', null, 2);
    insert into orders values (10, 1, 'open', 1.50, '2026-01-01Z'), (11, 2, 'paid', 20.00, '2026-01-02Z'), (12, 2, 'open', 3.25, null), (13, null, 'open', null, null);
    insert into items values (10, 1, 'pen', 0.50, 1.5), (10, 2, 'ink', 1.00, null), (11, 1, 'pen', 20, 2), (12, 1, 'cap', 3.25, 4);
    insert into profiles values (2, '{"b": [1.50,\n {"x": "]}"}], "n": 9007199254740993}');
    insert into teams values (1, 1, 'a'), (1, 2, 'b'), (2, 1, 'c');
    insert into matches values (1, 1, 1, 1, 2), (2, 1, 2, 2, 1), (3, 1, null, 1, 1)`)
  live = await createLive(log)
  await live.ready('{ matches { cursor } }')
})
afterAll(async () => {
  await live?.close()
  await log.close()
})

const ask = (text: string, variables?: Record<string, unknown>) => query(live.server.url, text, variables)
const rows = async (field: string, text: string) =>
  ((await ask(text))[field] as { rows: Record<string, unknown>[] }).rows

describe('relations', () => {
  it('lead from a row to the row that it references, and to the rows that reference it', async () => {
    expect(
      await rows('orders', '{ orders { rows { id customer { name boss { name } } items { no name } } } }'),
    ).toEqual([
      { id: '10', customer: { name: 'Ada', boss: null }, items: [{ no: 1, name: 'pen' }, { no: 2, name: 'ink' }] },
      { id: '11', customer: { name: 'Bob', boss: { name: 'Ada' } }, items: [{ no: 1, name: 'pen' }] },
      { id: '12', customer: { name: 'Bob', boss: { name: 'Ada' } }, items: [{ no: 1, name: 'cap' }] },
      { id: '13', customer: null, items: [] },
    ]) // biome-ignore format: a table
  })

  it('lead round in circles', async () => {
    const text = `{ customers(where: { id: { eq: 1 } }) { rows { name customersByBoss(orderBy: [{ name: DESC }]) {
      name boss { name } orders { id customer { name } } customersByBoss { name } } } } }`
    expect(await rows('customers', text)).toEqual([
      {
        name: 'Ada',
        customersByBoss: [
          { name: 'Cy', boss: { name: 'Ada' }, orders: [], customersByBoss: [] },
          {
            name: 'Bob',
            boss: { name: 'Ada' },
            orders: [
              { id: '11', customer: { name: 'Bob' } },
              { id: '12', customer: { name: 'Bob' } },
            ],
            customersByBoss: [{ name: 'Di' }],
          },
        ],
      },
    ])
  })

  it('are one row where a unique index allows only one', async () => {
    expect(
      await rows('customers', '{ customers(limit: 2) { rows { profiles { bio customer { id } } } } }'),
    ).toEqual([
      { profiles: null },
      { profiles: { bio: { b: [1.5, { x: ']}' }], n: 9007199254740992 }, customer: { id: 2 } } },
    ])
  })

  it('have the names of comments, and follow keys of several columns', async () => {
    expect(await rows('matches', '{ matches { rows { id home { name } guests { name } } } }')).toEqual([
      { id: 1, home: { name: 'a' }, guests: { name: 'b' } },
      { id: 2, home: { name: 'b' }, guests: { name: 'c' } },
      { id: 3, home: null, guests: { name: 'a' } },
    ])
    expect(await rows('teams', '{ teams { rows { name matchesByHome { id } visits { id } } } }')).toEqual([
      { name: 'a', matchesByHome: [{ id: 1 }], visits: [{ id: 3 }] },
      { name: 'b', matchesByHome: [{ id: 2 }], visits: [{ id: 1 }] },
      { name: 'c', matchesByHome: [], visits: [{ id: 2 }] },
    ])
  })

  it('take filters, an order and pages, each alias its own', async () => {
    const text = `query ($name: String) { customers(where: { id: { eq: 2 } }) { rows {
      paid: orders(where: { state: { eq: paid } }) { id } last: orders(orderBy: [{ id: DESC }], limit: 1) { id }
      rest: orders(offset: 1) { id } none: orders(limit: 0) { id items(where: { name: { eq: $name } }) { name } }
      all: orders { items(where: { name: { eq: $name } }) { name } } } } }`
    expect((await ask(text, { name: 'cap' })).customers).toEqual({
      rows: [
        {
          paid: [{ id: '11' }],
          last: [{ id: '12' }],
          rest: [{ id: '12' }],
          none: [],
          all: [{ items: [] }, { items: [{ name: 'cap' }] }],
        },
      ],
    })
  })

  it('follow fragments, @skip and @include, and are merged as fields are', async () => {
    const text = `query ($with: Boolean!) { customers(where: { id: { eq: 2 } }) { rows { ...A ...B } rows { id } } }
      fragment A on Customers { orders { id } boss @include(if: $with) { name } }
      fragment B on Customers { orders { state } ... @skip(if: $with) { profiles { bio } } }`
    const orders = [{ id: '11', state: 'paid' }, { id: '12', state: 'open' }] // biome-ignore format: a list
    expect((await ask(text, { with: true })).customers).toEqual({
      rows: [{ id: 2, orders, boss: { name: 'Ada' } }],
    })
    expect(JSON.stringify((await ask(text, { with: false })).customers)).toContain('profiles')
  })
})

it('queries that differ only in names of relations do not share their results', async () => {
  const text = `{ x: customers(where: { id: { eq: 2 } }) { rows { a: orders(limit: 1) { id } b: orders(limit: 2) { id } } }
    y: customers(where: { id: { eq: 2 } }) { rows { b: orders(limit: 1) { id } a: orders(limit: 2) { id } } }
    z: customers(where: { id: { eq: 2 } }) { rows { c: orders(limit: 1) { id } d: orders(limit: 2) { id } } } }`
  const [one, two] = [[{ id: '11' }], [{ id: '11' }, { id: '12' }]]
  expect(await ask(text)).toEqual({
    x: { rows: [{ a: one, b: two }] },
    y: { rows: [{ b: one, a: two }] },
    z: { rows: [{ c: one, d: two }] },
  })
})

describe('conditions on relations', () => {
  const ids = async (field: string, where: string) =>
    (await rows(field, `{ ${field}(where: ${where}) { rows { id } } }`)).map(row => Number(row.id))

  it.each([
    ['the referenced row', 'orders', '{ customer: { country: { eq: "DE" } } }', [11, 12]],
    ['not the referenced row', 'orders', '{ not: { customer: { country: { eq: "DE" } } } }', [10, 13]],
    ['there is one', 'orders', '{ customer: {} }', [10, 11, 12]],
    ['two steps', 'orders', '{ customer: { boss: { name: { eq: "Ada" } } } }', [11, 12]],
    ['some', 'customers', '{ orders: { some: { state: { eq: paid } } } }', [2]],
    ['none', 'customers', '{ orders: { none: {} } }', [3, 4]],
    ['some and none', 'customers', '{ orders: { some: {}, none: { state: { eq: paid } } } }', [1]],
    ['in or', 'customers', '{ or: [{ orders: { some: {} } }, { name: { eq: "Di" } }] }', [1, 2, 4]],
    [
      'some of some',
      'customers',
      '{ orders: { some: { items: { some: { name: { eq: "pen" } } } } } }',
      [1, 2],
    ],
    ['of itself', 'customers', '{ customersByBoss: { some: { name: { eq: "Di" } } } }', [2]],
    ['one row', 'customers', '{ profiles: {} }', [2]],
    ['several columns', 'matches', '{ home: { name: { eq: "a" } } }', [1]],
  ] as const)('%s', async (_name, field, where, expected) => {
    expect(await ids(field, where)).toEqual(expected)
  })

  it('are refused where they cannot hold', async () => {
    await expect(
      rows('customers', '{ customers(where: { orders: { every: {} } }) { rows { id } } }'),
    ).rejects.toThrow(/every/)
    const changes = await live.subscribe(
      'subscription { ordersChanged(where: { customer: { id: { eq: 1 } } }) { operation } }',
    )
    expect(await changes.results.next()).toMatchObject({
      errors: [{ extensions: { code: 'FILTER_INVALID' }, message: expect.stringContaining('customers') }],
    })
    await changes.close()
  })
})

describe('aggregates', () => {
  it('have the types that Postgres returns', async () => {
    const text = `{ itemsAggregate { count sum { orderId no price weight } avg { no price } min { name price weight } max { name } } }`
    expect((await ask(text)).itemsAggregate).toEqual({
      count: '4',
      sum: { orderId: '43', no: '5', price: '24.75', weight: 7.5 },
      avg: { no: '1.2500000000000000', price: '6.1875000000000000' },
      min: { name: 'cap', price: '0.50', weight: 1.5 },
      max: { name: 'pen' },
    })
  })

  it('of no rows are zero and null', async () => {
    const text =
      '{ itemsAggregate(where: { no: { gt: 9 } }) { count sum { price } max { name } groups(groupBy: [name]) { count } } }'
    expect((await ask(text)).itemsAggregate).toEqual({
      count: '0',
      sum: { price: null },
      max: { name: null },
      groups: [],
    })
  })

  it('of linked rows, and of groups', async () => {
    const text = `{ customers { rows { id ordersAggregate(where: { total: { gt: "1" } }) { count sum { total } max { state at }
      groups(groupBy: [state]) { key { state id } count min { total } } } } } }`
    expect(await rows('customers', text)).toEqual([
      {
        id: 1,
        ordersAggregate: {
          count: '1',
          sum: { total: '1.50' },
          max: { state: 'open', at: '2026-01-01T00:00:00+00:00' },
          groups: [{ key: { state: 'open', id: null }, count: '1', min: { total: '1.50' } }],
        },
      },
      {
        id: 2,
        ordersAggregate: {
          count: '2',
          sum: { total: '23.25' },
          max: { state: 'paid', at: '2026-01-02T00:00:00+00:00' },
          groups: [
            { key: { state: 'open', id: null }, count: '1', min: { total: '3.25' } },
            { key: { state: 'paid', id: null }, count: '1', min: { total: '20.00' } },
          ],
        },
      },
      ...[3, 4].map(id => ({
        id,
        ordersAggregate: { count: '0', sum: { total: null }, max: { state: null, at: null }, groups: [] },
      })),
    ])
  })

  it('say so if a sum is out of range', async () => {
    await log.query(`insert into items values (13, 1, 'x', 1, 3e38), (13, 2, 'x', 1, 3e38)`)
    await expect(ask('{ itemsAggregate { sum { weight } } }')).rejects.toThrow(
      /VALUE_NOT_SHOWN.*out of the range|out of the range.*VALUE_NOT_SHOWN/,
    )
    await log.query('delete from items where order_id = 13')
  })

  it('group by several columns, in the order of their values', async () => {
    const text = `{ a: customersAggregate { groups(groupBy: [country], limit: 2) { key { country } count } }
      b: itemsAggregate(where: { name: { neq: "cap" } }) { groups(groupBy: [name, no]) { key { name no } sum { price } } } }`
    expect(await ask(text)).toEqual({
      a: { groups: [{ key: { country: 'DE' }, count: '2' }, { key: { country: 'UK' }, count: '1' }] },
      b: {
        groups: [
          { key: { name: 'ink', no: 2 }, sum: { price: '1.00' } },
          { key: { name: 'pen', no: 1 }, sum: { price: '20.50' } },
        ],
      },
    }) // biome-ignore format: a table
  })
})

describe('limits', () => {
  it.each([
    ['the depth of relations', '{ customers { rows { boss { boss { boss { boss { boss { boss { boss { id } } } } } } } } } }', 'maxRelationDepth'],
    ['the number of relations', `{ customers { rows { ${Array.from({ length: 21 }, (_, i) => `a${i}: boss { id }`).join(' ')} } } }`, 'maxRelations'],
    ['the number of groups in one query', `{ customersAggregate { ${Array.from({ length: 21 }, (_, i) => `a${i}: groups(groupBy: [name]) { count }`).join(' ')} } }`, 'maxRelations'],
    ['conditions on relations', `{ customers(where: { or: [${'{ boss: {} } '.repeat(21)}] }) { rows { id } } }`, 'maxRelations'],
    ['the rows of a list', '{ customers { rows { orders(limit: 1001) { id } } } }', 'maxRelatedRows'],
    ['the number of groups', '{ customersAggregate { groups(groupBy: [name], limit: 1001) { count } } }', 'maxRelatedRows'],
  ])('bound %s', async (_name, text, limit) => {
    await expect(ask(text)).rejects.toThrow(new RegExp(`LIMIT_EXCEEDED.*${limit}|${limit}.*LIMIT_EXCEEDED`))
  }) // biome-ignore format: long lines

  it('bound the rows of the whole result, not only of each list', async () => {
    await log.query(`insert into customers select i, 'n' || i, null, 100 from generate_series(100, 299) i`)
    const text =
      '{ customers(where: { boss: { id: { eq: 100 } } }, limit: LIMIT) { rows { boss { customersByBoss(limit: 200) { id } } } } }'
    const rowsOf = (limit: number) => rows('customers', text.replace('LIMIT', String(limit)))
    expect(await rowsOf(40)).toHaveLength(40)
    await expect(rowsOf(60)).rejects.toThrow(/RESULT_TOO_LARGE/)
    await log.query('delete from customers where id >= 100')
  })

  it('two lists of rows cannot disagree about a relation', async () => {
    const text = '{ customers { a: rows { orders(limit: 1) { id } } b: rows { orders(limit: 2) { id } } } }'
    await expect(ask(text)).rejects.toThrow(/ARGUMENT_INVALID/)
  })
})

describe('a change', () => {
  it('has no relations, since they would be of another moment', async () => {
    for (const part of ['row', 'old']) {
      const changes = await live.subscribe(
        `subscription { ordersChanged { ${part} { ...R } } } fragment R on Orders { id customer { name } }`,
      )
      expect(await changes.results.next()).toMatchObject({
        errors: [{ message: expect.stringContaining('customer') }],
      })
      await changes.close()
    }
  })
})
