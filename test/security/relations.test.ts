import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createServer, type ListenqlServer } from '../../src/index.js'
import { resultOf } from '../support/graphql-request.js'
import { createLog, type TestLog } from '../support/log.js'
import { SECRET, sign } from '../support/tokens.js'
import { createRoles, type TestRoles } from '../support/viewer-roles.js'
import { waitUntil } from '../support/wait.js'

let log: TestLog
let roles: TestRoles
let server: ListenqlServer

beforeAll(async () => {
  log = await createLog()
  roles = await createRoles(log)
  await log.query(`create table customers (id int primary key, name text, secret text, owner text);
    create table orders (id int primary key, customer_id int references customers, total int, hidden_by int references customers)`)
  await log.watch('customers', 'orders')
  await log.query(`insert into customers values (1, 'Ada', 'x', 'me'), (2, 'Bob', 'y', 'you');
    insert into orders values (10, 1, 5, 1), (11, 2, 7, 1), (12, null, 1, null)`)
  await log.database.query(`grant select (id, name, owner) on customers to ${roles.user};
    grant select (id, customer_id, total) on orders to ${roles.user};
    alter table customers enable row level security;
    create policy mine on customers using (owner = current_setting('request.jwt.claims')::json ->> 'sub')`)
  server = await createServer({
    databaseUrl: log.database.url,
    port: 0,
    logLevel: 'silent',
    jwtSecret: SECRET,
    catalogInterval: 50,
  })
  await waitUntil(async () => (await ask('{ orders { rows { customer { id } } } }')).data, 'the relations')
})
afterAll(async () => {
  await server?.close()
  await roles?.drop()
  await log?.close()
})

interface Answer {
  readonly data?: Record<string, unknown> | null
  readonly errors?: readonly { readonly message: string; readonly extensions: { readonly code: string } }[]
}

const ask = async (query: string): Promise<Answer> =>
  resultOf(server.url, query, { token: await sign({ role: roles.user, sub: 'me' }) })

describe('a viewer', () => {
  it('sees linked rows only as far as policies allow, in rows, counts and conditions', async () => {
    expect((await ask('{ orders { rows { id customer { name } } } }')).data?.orders).toEqual({
      rows: [
        { id: 10, customer: { name: 'Ada' } },
        { id: 11, customer: null },
        { id: 12, customer: null },
      ],
    })
    expect(
      (await ask('{ customers { rows { name orders { id } ordersAggregate { count sum { total } } } } }'))
        .data?.customers,
    ).toEqual({
      rows: [{ name: 'Ada', orders: [{ id: 10 }], ordersAggregate: { count: '1', sum: { total: '5' } } }],
    })
    expect(
      (await ask('{ customersAggregate { count groups(groupBy: [owner]) { key { owner } } } }')).data
        ?.customersAggregate,
    ).toEqual({
      count: '1',
      groups: [{ key: { owner: 'me' } }],
    })
    expect((await ask('{ orders(where: { customer: {} }) { rows { id } } }')).data?.orders).toEqual({
      rows: [{ id: 10 }],
    })
    expect((await ask('{ orders(where: { not: { customer: {} } }) { rows { id } } }')).data?.orders).toEqual({
      rows: [{ id: 11 }, { id: 12 }],
    })
  })

  it.each([
    ['selects', '{ orders { rows { customer { secret } } } }', 'secret'],
    ['filters by', '{ orders(where: { customer: { secret: { eq: "x" } } }) { rows { id } } }', 'secret'],
    [
      'filters linked rows by',
      '{ customers { rows { orders(where: { customersByHiddenBy: {} }) { id } } } }',
      'hidden_by',
    ],
    ['links by', '{ customers { rows { ordersByHiddenBy { id } } } }', 'hidden_by'],
    ['adds up', '{ customersAggregate { max { secret } } }', 'secret'],
    ['groups by', '{ customersAggregate { groups(groupBy: [secret]) { count } } }', 'secret'],
    ['adds up linked rows by', '{ customers { rows { ordersByHiddenByAggregate { count } } } }', 'hidden_by'],
  ])('needs the right to the columns that a query %s', async (_what, query, column) => {
    const { errors = [] } = await ask(query)
    expect(errors[0]?.extensions.code).toBe('FORBIDDEN')
    expect(errors[0]?.message).toContain(column)
  })

  it('gets no answer once policies apply to a linked table that had none', async () => {
    expect((await ask('{ customers { rows { orders { id } } } }')).data?.customers).toEqual({
      rows: [{ orders: [{ id: 10 }] }],
    })
    await log.database.query('alter table orders enable row level security')
    expect((await ask('{ customers { rows { orders { id } } } }')).data?.customers).toEqual({
      rows: [{ orders: [] }],
    })
    await log.database.query('alter table orders disable row level security')
  })
})
