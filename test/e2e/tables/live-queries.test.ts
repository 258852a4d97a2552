import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { GRAPHQL_TRANSPORTS } from '../../support/clients.js'
import { createLive, type Live } from '../../support/live.js'
import { createLog, type TestLog } from '../../support/log.js'

let log: TestLog
let live: Live

beforeAll(async () => {
  log = await createLog()
  await log.query(`create table customers (id int primary key, name text, country text);
    create table orders (id int primary key, customer_id int references customers, total int, note text)`)
  await log.watch('customers', 'orders')
  live = await createLive(log)
  await live.ready('{ orders { cursor } }')
})
afterAll(async () => {
  await live?.close()
  await log.close()
})

interface Result {
  readonly data?: Record<string, { rows: unknown[] } & Record<string, unknown>>
}

describe.each(Object.entries(GRAPHQL_TRANSPORTS))('a live query over %s', (_name, subscribe) => {
  it('delivers the result at once, and again when a change shows in it', async () => {
    await log.query('truncate customers, orders')
    await log.query(
      `insert into customers values (1, 'Ada', 'UK'), (2, 'Bob', 'DE'); insert into orders values (10, 1, 5, 'x')`,
    )
    const stream = await subscribe(
      live.server.url,
      'subscription { orders(orderBy: [{ id: ASC }]) { cursor rows { id total customer { name } } } }',
    )
    const next = async () => ((await stream.results.next('a result')) as Result).data?.orders?.rows
    expect(await next()).toEqual([{ id: 10, total: 5, customer: { name: 'Ada' } }])
    await log.query(`insert into orders values (11, 2, 7, 'y')`)
    expect(await next()).toEqual([
      { id: 10, total: 5, customer: { name: 'Ada' } },
      { id: 11, total: 7, customer: { name: 'Bob' } },
    ])
    await log.query(`update orders set note = 'nobody selects it'`)
    await log.query(`insert into customers values (3, 'Cy', 'FR')`)
    await log.query(`update customers set name = 'Bea' where id = 2`)
    expect(await next()).toEqual([
      { id: 10, total: 5, customer: { name: 'Ada' } },
      { id: 11, total: 7, customer: { name: 'Bea' } },
    ])
    await log.query('truncate orders')
    expect(await next()).toEqual([])
    await stream.close()
  })
})

describe('a live query', () => {
  const roots =
    'subscription { live { orders { rows { id } } few: ordersAggregate(where: { total: { lt: 6 } }) { count } all: ordersAggregate { sum { total } groups(groupBy: [customerId]) { key { customerId } count } } } }'

  it('of several roots shows them at one moment', async () => {
    await log.query(`truncate customers, orders; insert into orders values (10, null, 5, null)`)
    const stream = await live.subscribe(roots)
    const next = async () => {
      const result = (await stream.results.next('a result')) as {
        data?: { live: unknown }
        extensions?: { cursor?: string }
      }
      expect(result.extensions?.cursor).toEqual(expect.any(String))
      return result.data?.live
    }
    expect(await next()).toEqual({
      orders: { rows: [{ id: 10 }] },
      few: { count: '1' },
      all: { sum: { total: '5' }, groups: [{ key: { customerId: null }, count: '1' }] },
    })
    await log.query(
      `begin; insert into customers values (1, 'Ada', 'UK'); insert into orders values (11, 1, 9, null); commit`,
    )
    expect(await next()).toEqual({
      orders: { rows: [{ id: 10 }, { id: 11 }] },
      few: { count: '1' },
      all: {
        sum: { total: '14' },
        groups: [
          { key: { customerId: 1 }, count: '1' },
          { key: { customerId: null }, count: '1' },
        ],
      },
    })
    await log.query('update orders set customer_id = null where id = 11')
    expect(await next()).toMatchObject({ all: { groups: [{ key: { customerId: null }, count: '2' }] } })
    await stream.close()
  })

  it('of an aggregate', async () => {
    await log.query(`truncate customers, orders; insert into orders values (10, null, 5, null)`)
    const stream = await live.subscribe(
      'subscription { ordersAggregate(where: { total: { gt: 4 } }) { count max { total } } }',
    )
    const next = async () =>
      ((await stream.results.next('a result')) as { data?: { ordersAggregate: unknown } }).data
        ?.ordersAggregate
    expect(await next()).toEqual({ count: '1', max: { total: 5 } })
    await log.query('insert into orders values (11, null, 3, null), (12, null, 8, null)')
    expect(await next()).toEqual({ count: '2', max: { total: 8 } })
    await stream.close()
  })

  it('is shared: a later subscriber gets the present result at once, and all get the next', async () => {
    await log.query(`truncate customers, orders; insert into orders values (10, null, 5, null)`)
    const document = 'subscription { orders { rows { id total } } }'
    const first = await live.subscribe(document)
    await first.results.next('a result')
    const second = await live.subscribe(document)
    expect(await second.results.next('the present result')).toMatchObject({
      data: { orders: { rows: [{ id: 10, total: 5 }] } },
    })
    await log.query('update orders set total = 6')
    for (const stream of [first, second]) {
      expect(await stream.results.next('the next result')).toMatchObject({
        data: { orders: { rows: [{ id: 10, total: 6 }] } },
      })
      await stream.close()
    }
  })

  it('continues when a column is added, and ends when one that it selects is dropped', async () => {
    await log.query(`truncate customers, orders; insert into orders values (10, null, 5, null)`)
    const stream = await live.subscribe('subscription { orders { rows { id note } } }')
    expect(await stream.results.next('a result')).toMatchObject({
      data: { orders: { rows: [{ id: 10, note: null }] } },
    })
    await log.query('alter table orders add more text')
    await live.ready('{ orders { rows { more } } }')
    await log.query(`update orders set note = 'x', more = 'y'`)
    const seen = async () =>
      (await stream.results.next('a result')) as {
        data?: { orders?: { rows: { note: string | null }[] } }
        errors?: { extensions: { code: string } }[]
      }
    let result = await seen()
    while (result.data?.orders?.rows[0]?.note === null) result = await seen()
    expect(result.data?.orders?.rows).toEqual([{ id: 10, note: 'x' }])
    await log.query('alter table orders drop note')
    result = await seen()
    expect(result.errors?.[0]?.extensions.code).toBe('SCHEMA_CHANGED')
    await stream.close()
    await log.query('alter table orders add note text')
    await live.ready('{ orders { rows { note } } }')
  })

  it('is refused for what is no table', async () => {
    const stream = await live.subscribe('subscription { live { channels } }')
    expect(await stream.results.next()).toMatchObject({
      errors: [{ extensions: { code: 'ARGUMENT_INVALID' } }],
    })
    await stream.close()
  })
})
