import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { ServerOptions } from '../../../src/index.js'
import { codeOf } from '../../support/graphql-request.js'
import { createLive, endOf, type Live } from '../../support/live.js'
import { createLog, type TestLog } from '../../support/log.js'
import { waitUntil } from '../../support/wait.js'

let log: TestLog
const servers: Live[] = []

beforeAll(async () => {
  log = await createLog()
  await log.query(`create table orders (id int primary key, total int, note text);
    insert into orders values (1, 5, 'x'), (2, 7, 'y')`)
  await log.watch('orders')
})
afterEach(async () => {
  for (const live of servers.splice(0)) await live.close()
})
afterAll(() => log.close())

async function serve(options: ServerOptions = {}): Promise<Live> {
  const live = await createLive(log, options)
  servers.push(live)
  await live.ready('{ orders { cursor } }')
  return live
}

interface Result {
  readonly data: { orders: { cursor: string; rows: { id: number; note: string }[] } } | null
  readonly extensions: { readonly cursor: string; readonly every: number }
  readonly errors?: { extensions: { code: string; hint: string } }[]
}

const ORDERS = 'subscription { orders(every: 10) { cursor rows { id note } } }'

describe('limits of live queries', () => {
  it('different queries are counted: clients with equal queries share one', async () => {
    const live = await serve({ maxLiveQueries: 1 })
    const first = await live.subscribe(ORDERS)
    const same = await live.subscribe(ORDERS)
    for (const { results } of [first, same]) expect(await results.next()).toHaveProperty('data.orders')
    const refused = await live.subscribe('subscription { orders { rows { id } } }')
    const refusal = (await refused.results.next()) as unknown as Result
    expect(refusal.errors?.[0]?.extensions).toMatchObject({ code: 'LIMIT_EXCEEDED', limit: 'maxLiveQueries' })
    for (const stream of [first, same, refused]) await stream.close()
    await waitUntil(async () => {
      const again = await live.subscribe('subscription { orders { rows { id } } }')
      const result = await again.results.next()
      await again.close()
      return 'data' in result && result.data
    }, 'the closed query to make room')
  })

  it('a list has at most maxLiveRows rows, and `every` has a range', async () => {
    const live = await serve({ maxLiveRows: 10 })
    const refusalOf = async (document: string) => {
      const stream = await live.subscribe(document)
      const code = codeOf(await stream.results.next())
      await stream.close()
      return code
    }
    expect(await refusalOf('subscription { orders(limit: 11) { rows { id } } }')).toBe('LIMIT_EXCEEDED')
    expect(await refusalOf('subscription { live { orders(limit: 11) { rows { id } } } }')).toBe(
      'LIMIT_EXCEEDED',
    )
    expect(await refusalOf('subscription { orders(every: -1) { rows { id } } }')).toBe('ARGUMENT_INVALID')
    expect(await refusalOf('subscription { orders(every: 3600001) { rows { id } } }')).toBe(
      'ARGUMENT_INVALID',
    )
    expect(await live.ready('{ orders(limit: 11) { rows { id } } }')).toHaveProperty('orders')
  })

  it('a result that grows beyond maxLiveResult ends the query, and names the option', async () => {
    const live = await serve({ maxLiveResult: 1000 })
    const stream = await live.subscribe(ORDERS)
    await stream.results.next()
    await log.query(`update orders set note = repeat('x', 2000) where id = 1`)
    const end = (await stream.results.next('the end')) as unknown as Result
    expect(end.errors?.[0]?.extensions).toMatchObject({
      code: 'RESULT_TOO_LARGE',
      hint: expect.stringContaining('--max-live-result'),
    })
    await log.query(`update orders set note = 'x' where id = 1`)
    await stream.close()
  })

  it('a query that is read for longer than liveTimeout ends; others continue', async () => {
    await log.query('create table slow (id int primary key); insert into slow values (1)')
    await log.watch('slow')
    const live = await serve({ liveTimeout: 300 })
    await live.ready('{ slow { cursor } }')
    const slow = await live.subscribe('subscription { slow { rows { id } } }')
    const quick = await live.subscribe(ORDERS)
    await slow.results.next()
    await quick.results.next()
    const session = await log.connect()
    await session.query('begin; insert into slow values (2); commit; begin; lock table slow')
    expect(await endOf(slow)).toBe('QUERY_TIMEOUT')
    await log.query(`update orders set note = 'still live' where id = 2`)
    expect(JSON.stringify(await quick.results.next())).toContain('still live')
    await session.query('commit')
    for (const stream of [slow, quick]) await stream.close()
  })
})

it('a result tells how long the next one waits at least', async () => {
  const live = await serve()
  const stream = await live.subscribe('subscription { orders(every: 3000000) { rows { id } } }')
  expect(await stream.results.next()).toMatchObject({ extensions: { every: 3_000_000 } })
  await stream.close()
})

it('a keep-alive says up to which position the last result holds', async () => {
  const live = await serve({ keepAlive: 1000 })
  const stream = await live.subscribe(ORDERS)
  const { extensions } = (await stream.results.next()) as unknown as Result
  await log.query(`select listenql.publish('elsewhere', 'x')`)
  const later = await waitUntil(() => {
    const at = stream.position?.()
    return at === extensions.cursor ? undefined : at
  }, 'a keep-alive with a later position')
  await log.query(`update orders set note = 'after' where id = 1`)
  const changes = await live.subscribe(
    'subscription ($after: String) { ordersChanged(after: $after) { row { note } } }',
    {
      variables: { after: later },
    },
  )
  expect(await changes.results.next()).toMatchObject({ data: { ordersChanged: { row: { note: 'after' } } } })
  for (const one of [stream, changes]) await one.close()
})
