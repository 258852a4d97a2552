import type pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createServer, type ListenqlServer, type ServerOptions } from '../../src/index.js'
import { GRAPHQL_TRANSPORTS, type Subscribe, type TestSubscription } from '../support/clients.js'
import { createLog, type TestLog } from '../support/log.js'
import { inSeconds, SECRET, sign } from '../support/tokens.js'
import { createRoles, type TestRoles } from '../support/viewer-roles.js'
import { waitUntil } from '../support/wait.js'

/* Live queries of viewers, over real servers: each result is what `select` shows under the viewer's role and claims. */

let log: TestLog
let roles: TestRoles
let server: ListenqlServer
let client: pg.Client

const SUB = `(current_setting('request.jwt.claims', true)::json ->> 'sub')`
const MEMBER = `exists (select from public.members m where m.org = orders.org and m.person = ${SUB})`

const start = (options: ServerOptions = {}) =>
  createServer({
    databaseUrl: log.database.url,
    port: 0,
    logLevel: 'silent',
    jwtSecret: SECRET,
    jwtClockTolerance: 1,
    catalogInterval: 50,
    channels: ['*'],
    ...options,
  })

beforeAll(async () => {
  log = await createLog()
  roles = await createRoles(log)
  client = await log.connect()
  await log.query(`create table members (org int, person text, note text, primary key (org, person));
    create table customers (id int primary key, name text, owner text);
    create table orders (id int primary key, org int, total int, note text, customer_id int references customers);
    create table secrets (org int primary key, region text);
    create function of_members(o int) returns boolean language plpgsql stable as
      $$ begin return exists (select from members m where m.org = o and m.person = ${SUB}); end $$`)
  await log.watch('members', 'customers', 'orders')
  server = await start()
})
afterAll(async () => {
  await server?.close()
  await roles?.drop()
  await log?.close()
})

beforeEach(async () => {
  await log.database.query(`truncate members, customers, orders, secrets;
    insert into members values (1, 'ann', null), (2, 'ann', null), (2, 'bob', null);
    insert into customers values (1, 'Ada', 'ann'), (2, 'Bea', 'bob');
    insert into orders values (10, 1, 5, null, 1), (20, 2, 7, null, 2), (30, 3, 9, null, 1);
    insert into secrets values (1, 'EU'), (2, 'US'), (3, 'EU');
    alter table orders enable row level security; alter table customers enable row level security;
    grant select on orders, customers, members, secrets to ${roles.user}, ${roles.anonymous};
    do $$ declare p record; begin for p in select polname, polrelid::regclass as t from pg_policy loop execute format('drop policy %I on %s', p.polname, p.t); end loop; end $$;
    create policy of_members on orders to ${roles.user} using (${MEMBER});
    create policy low on orders to ${roles.anonymous} using (total < 6);
    create policy own on customers using (owner = ${SUB});
    create policy of_anonymous on customers to ${roles.anonymous} using (true);
    alter role ${roles.user} reset all; comment on function of_members(int) is null`)
  // The server has seen the changes of the test before once it answers under the present policies.
  await untilShown(await user('ann'), '{ orders(orderBy: [{ id: ASC }]) { rows { id } } }', {
    orders: { rows: [{ id: 10 }, { id: 20 }] },
  })
  // What the policies of the test before read may be remembered for a moment.
  await waitUntil(async () => {
    const { results, close } = await open(IDS, await user('ann'))
    const { data } = (await results.next('a result')) as Answer
    await close()
    return data
  }, 'a live query under these policies')
})

const opened: TestSubscription[] = []
afterEach(async () => {
  for (const { close } of opened.splice(0)) await close()
})

const user = (sub: string, claims = {}) => sign({ role: roles.user, sub, ...claims })
const anonymous = () => sign({ role: roles.anonymous })

const overWs = GRAPHQL_TRANSPORTS['graphql-ws'] as Subscribe

async function open(
  document: string,
  token: string,
  { subscribe = overWs, at = server } = {},
): Promise<TestSubscription & { next(): Promise<unknown>; quiet(): Promise<void> }> {
  const subscription = await subscribe(at.url, document, {}, { token })
  opened.push(subscription)
  const next = async () => {
    const result = (await subscription.results.next('a result')) as Answer
    if (result.errors) throw new Error(JSON.stringify(result.errors))
    return result.data
  }
  return { ...subscription, next, quiet: () => quiet(subscription) }
}

interface Answer {
  readonly data?: Record<string, unknown> | null
  readonly errors?: readonly { readonly message: string; readonly extensions: Record<string, unknown> }[]
}

async function ask(token: string, query: string, at = server): Promise<Answer> {
  const response = await fetch(`${at.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ query }),
  })
  return (await response.json()) as Answer
}

async function untilShown(token: string, query: string, data: unknown): Promise<void> {
  const wanted = JSON.stringify(data)
  await waitUntil(async () => JSON.stringify((await ask(token, query)).data) === wanted, query)
}

/** Nothing was sent since: after this change of the table that all may read, which a later result of the same connection shows. */
async function quiet({ results }: TestSubscription): Promise<void> {
  const witness = await open('subscription { channel(name: "quiet") { payload } }', await anonymous())
  await log.query(`select listenql.publish('quiet', 'x')`)
  await witness.next()
  // A read that an earlier event caused has ended once a later read of the same server has.
  await ask(await user('ann'), '{ orders { rows { id } } }')
  expect(results.drain()).toEqual([])
}

/** How the server refuses a live query, once it knows the present policies: it may remember the former ones for a moment. */
function refusal(document: string, token: string, at = server) {
  return waitUntil(async () => {
    const { results, close } = await open(document, token, { at })
    const { errors } = (await results.next('a refusal')) as Answer
    await close()
    const { code, hint } = errors?.[0]?.extensions ?? {}
    return errors && { code, hint, message: errors[0]?.message }
  }, 'a refusal')
}

/** What `select` shows under a role and claims. */
async function shownTo(role: string, sub: string | undefined, sql: string): Promise<unknown[]> {
  await client.query('begin')
  try {
    await client.query(`set local role ${role}`)
    await client.query(`select set_config('request.jwt.claims', $1, true)`, [JSON.stringify({ role, sub })])
    return (await client.query(sql)).rows
  } finally {
    await client.query('rollback')
  }
}

const ORDERS = 'subscription { orders(orderBy: [{ id: ASC }]) { rows { id total customer { name } } } }'
const ids = (...all: number[]) => ({ orders: { rows: all.map(id => ({ id })) } })
const IDS = 'subscription { orders(orderBy: [{ id: ASC }]) { rows { id } } }'

describe.each(Object.entries(GRAPHQL_TRANSPORTS))('a live query of a viewer over %s', (name, subscribe) => {
  it('shows what select shows, and follows the rows, their visibility and the tables that policies read', async () => {
    const ann = await open(ORDERS, await user('ann'), { subscribe })
    const bob = await open(ORDERS, await user('bob'), { subscribe })
    const low = await open(ORDERS, await anonymous(), { subscribe })
    const followed = [
      { stream: ann, role: roles.user, sub: 'ann' },
      { stream: bob, role: roles.user, sub: 'bob' },
      { stream: low, role: roles.anonymous, sub: undefined },
    ]
    const expectAll = async (...changed: readonly unknown[]) => {
      for (const { stream, role, sub } of followed) {
        if (!changed.includes(stream)) continue
        const rows = await shownTo(
          role,
          sub,
          `select o.id, o.total, case when c.id is not null then json_build_object('name', c.name) end as customer
           from orders o left join customers c on c.id = o.customer_id order by o.id`,
        )
        expect(await stream.next()).toEqual({ orders: { rows } })
      }
      for (const { stream } of followed) await stream.quiet()
    }
    await expectAll(ann, bob, low)
    await log.query(`insert into members values (3, 'bob', null)`) // a row becomes visible
    await expectAll(bob)
    await log.query(`update members set note = 'x'; insert into members values (9, 'ann', null)`) // nothing shows
    await expectAll()
    await log.query(`update orders set org = 2 where id = 10`) // by a column that is not selected
    await expectAll(bob)
    await log.query(`update orders set total = 4 where id = 30`)
    await expectAll(bob, low)
    await log.query(`update customers set owner = 'bob' where id = 1`) // of a linked row
    await expectAll(ann, bob)
    await log.query(`delete from members where person = 'ann' and org = 2`)
    await expectAll(ann)
    await log.query(`truncate members`)
    await expectAll(bob)
  })

  it('ends when the viewer is kicked, or its token expires', async () => {
    const kicked = await open(IDS, await user(`kicked ${name}`, { iat: inSeconds(-5) }), { subscribe })
    const expired = await open(IDS, await user('expired', { exp: inSeconds(2) }), { subscribe })
    const stays = await open(IDS, await user('ann'), { subscribe })
    for (const stream of [kicked, expired]) expect(await stream.next()).toEqual(ids())
    expect(await stays.next()).toEqual(ids(10, 20))
    await log.query(`select listenql.kick('sub', $1)`, [`kicked ${name}`])
    await kicked.ended
    await expired.ended
    await log.query(`delete from orders where id = 20`)
    expect(await stays.next()).toEqual(ids(10))
  })

  it('ends when a right is lost, also to a table that a policy reads', async () => {
    const direct = await open(IDS, await user('ann'), { subscribe })
    await direct.next()
    await log.database.query(`revoke select on orders from ${roles.user}`)
    expect(await direct.results.next('the end')).toMatchObject({
      errors: [{ extensions: { code: 'FORBIDDEN' } }],
    })
    await log.database.query(`grant select on orders to ${roles.user}`)
    await untilShown(await user('ann'), '{ orders { rows { id } } }', ids(10, 20))
    const throughPolicy = await open(IDS, await user('ann'), { subscribe })
    await throughPolicy.next()
    await log.database.query(`revoke select on members from ${roles.user}`)
    expect(await throughPolicy.results.next('the end')).toMatchObject({
      errors: [{ extensions: { code: 'FORBIDDEN' } }],
    })
  })
})

describe('a live query of a viewer', () => {
  it('counts and filters by linked rows as far as the viewer sees them', async () => {
    const document =
      'subscription { live { ordersAggregate { count sum { total } } orders(where: { customer: {} }) { rows { id } } } }'
    const ann = await open(document, await user('ann'))
    expect(await ann.next()).toEqual({
      live: { ordersAggregate: { count: '2', sum: { total: '12' } }, orders: { rows: [{ id: 10 }] } },
    })
    await log.query(`update customers set owner = 'ann'`)
    expect(await ann.next()).toMatchObject({ live: { orders: { rows: [{ id: 10 }, { id: 20 }] } } })
    await log.query(`update orders set org = 3 where id = 10`)
    expect(await ann.next()).toEqual({
      live: { ordersAggregate: { count: '1', sum: { total: '7' } }, orders: { rows: [{ id: 20 }] } },
    })
    await log.query(`insert into members values (3, 'ann', null)`)
    expect(await ann.next()).toMatchObject({ live: { ordersAggregate: { count: '3' } } })
  })

  it('follows a policy that is altered, dropped and created, and row-level security that is switched', async () => {
    const ann = await open(IDS, await user('ann'))
    expect(await ann.next()).toEqual(ids(10, 20))
    await log.database.query(`alter policy of_members on orders using (${MEMBER} and total > 6)`)
    expect(await ann.next()).toEqual(ids(20))
    await log.database.query(`drop policy of_members on orders`)
    expect(await ann.next()).toEqual(ids())
    await log.database.query(`create policy of_all on orders using (note = 'shown')`)
    await ann.quiet()
    await log.query(`update orders set note = 'shown' where id = 30`)
    expect(await ann.next()).toEqual(ids(30))
    await log.database.query(`alter table orders disable row level security`)
    expect(await ann.next()).toEqual(ids(10, 20, 30))
    await log.database.query(`alter table orders enable row level security`)
    expect(await ann.next()).toEqual(ids(30))
  })

  it('follows the policies of tables that its policies read', async () => {
    await log.database.query(`alter table members enable row level security;
      create policy m on members to ${roles.user} using (org < 3)`)
    const ann = await open(IDS, await user('ann'))
    expect(await ann.next()).toEqual(ids(10, 20))
    await log.database.query(`alter policy m on members using (org < 2)`)
    expect(await ann.next()).toEqual(ids(10))
    await log.database.query(`alter table members disable row level security`)
    expect(await ann.next()).toEqual(ids(10, 20))
  })

  it('follows the settings of the role', async () => {
    await log.database.query(
      `alter policy of_members on orders using (org::text = current_setting('app.org', true))`,
    )
    const ann = await open(IDS, await user('ann'))
    expect(await ann.next()).toEqual(ids())
    await log.database.query(`alter role ${roles.user} set app.org = '2'`)
    expect(await ann.next()).toEqual(ids(20))
  })

  it('is refused while its policies read a table that is not watched, and names what to do', async () => {
    await log.database.query(
      `alter policy of_members on orders using (org in (select org from public.secrets where region = 'EU'))`,
    )
    const token = await user('ann')
    expect(await refusal(IDS, token)).toEqual({
      code: 'POLICY_NOT_WATCHED',
      message:
        'the policy of_members of table orders reads table secrets, which is not watched: a live query could not follow it',
      hint: 'run listenql watch secrets, or let the server read again with --live-refresh',
    })
    // Other roles are not concerned, and queries are answered.
    expect(await (await open(IDS, await anonymous())).next()).toEqual(ids(10))
    expect((await ask(token, '{ orders { rows { id } } }')).data).toEqual(ids(10, 30))

    await log.watch('secrets')
    const ann = await waitUntil(async () => {
      const stream = await open(IDS, token)
      const first = (await stream.results.next('a result')) as Answer
      return first.data ? { stream, data: first.data } : undefined
    }, 'the watched table')
    expect(ann.data).toEqual(ids(10, 30))
    await log.query(`update secrets set region = 'EU' where org = 2`)
    expect(await ann.stream.next()).toEqual(ids(10, 20, 30))
    await log.query(`select listenql.unwatch('secrets')`)
    expect(await ann.stream.results.next('the end')).toMatchObject({
      errors: [
        {
          message: expect.stringContaining('reads table secrets, which is not watched'),
          // The check of policies and the new schema both notice it.
          extensions: { code: expect.stringMatching(/^(POLICY_NOT_WATCHED|SCHEMA_CHANGED)$/) },
        },
      ],
    })
  })

  it('ends when a policy begins to read what the server cannot follow', async () => {
    const ann = await open(IDS, await user('ann'))
    await ann.next()
    await log.database.query(`alter policy of_members on orders using (of_members(org))`)
    expect(await ann.results.next('the end')).toMatchObject({
      errors: [{ extensions: { code: 'POLICY_NOT_WATCHED' } }],
    })
  })

  it('needs functions that show what they read, or declare it', async () => {
    await log.database.query(`alter policy of_members on orders using (of_members(org))`)
    const token = await user('ann')
    expect(await refusal(IDS, token)).toEqual({
      code: 'POLICY_NOT_WATCHED',
      message:
        'the policy of_members of table orders uses the function public.of_members(o integer), which is written in plpgsql: a live query could not follow it',
      hint: `declare what it reads (comment on function public.of_members(o integer) is '@listenql reads public.members'), or let the server read again with --live-refresh`,
    })
    await log.database.query(
      `comment on function public.of_members(o integer) is '@listenql reads public.members'`,
    )
    const ann = await waitUntil(async () => {
      const stream = await open(IDS, token)
      const first = (await stream.results.next('a result')) as Answer
      return first.data ? { ...stream, data: first.data } : undefined
    }, 'the declaration')
    expect(ann.data).toEqual(ids(10, 20))
    await log.query(`insert into members values (3, 'ann', null)`)
    expect(await ann.next()).toEqual(ids(10, 20, 30))
  })

  it('is read again at the interval of --live-refresh where its policies cannot be followed', async () => {
    const refreshing = await start({ liveRefresh: 30 })
    try {
      await log.database.query(`select listenql.unwatch('secrets')`).catch(() => undefined) // of the test before
      await log.database.query(`alter policy of_members on orders
        using (of_members(org) and org in (select org from public.secrets where region = 'EU'))`)
      const ann = await waitUntil(async () => {
        const stream = await open(IDS, await user('ann'), { at: refreshing })
        const first = (await stream.results.next('a result')) as Answer
        return first.data ? { ...stream, data: first.data } : undefined
      }, 'the server')
      expect(ann.data).toEqual(ids(10))
      await log.query(`update secrets set region = 'EU'`)
      expect(await ann.next()).toEqual(ids(10, 20))
      await log.query(`insert into members values (3, 'ann', null)`)
      expect(await ann.next()).toEqual(ids(10, 20, 30))
    } finally {
      await refreshing.close()
    }
  })

  it('reaches each of many viewers that sees the changed row, before or after the change', async () => {
    // So many that the policies are asked before queries are read.
    const people = Array.from({ length: 8 }, (_, i) => `p${i}`)
    await log.query(`insert into members select 100 + i, 'p' || i, null from generate_series(0, 7) i`)
    const streams = await Promise.all(people.map(async person => open(IDS, await user(person))))
    for (const stream of streams) expect(await stream.next()).toEqual(ids())
    const expectSentTo = async (...sent: readonly number[]) => {
      for (const i of sent) {
        const rows = await shownTo(roles.user, people[i], 'select id from orders order by id')
        expect(await streams[i]?.next()).toEqual({ orders: { rows } })
      }
      for (const stream of streams) await stream.quiet()
    }
    await log.query('insert into orders values (50, 103, 1, null, null), (51, 103, 1, null, null)')
    await expectSentTo(3)
    await log.query('update orders set org = 105 where id = 50')
    await expectSentTo(3, 5)
    await log.query(`begin; insert into members values (103, 'p6', null);
      update orders set id = 52 where id = 51; delete from members where org = 103 and person = 'p3'; commit`)
    await expectSentTo(3, 6)
    await log.query('update orders set org = 999 where org in (103, 105)')
    await expectSentTo(5, 6)
    await log.query('update orders set org = 104 where id = 52; delete from orders where id = 50')
    await expectSentTo(4)
  })

  it('is shared by viewers whose policies do not tell them apart', async () => {
    const cursorOf = async (token: string) => {
      const stream = await open('subscription { orders { cursor } }', token)
      const { orders } = (await stream.next()) as { orders: { cursor: string } }
      // A later read has a later cursor.
      await log.query(`select listenql.publish('quiet', 'x')`)
      return orders.cursor
    }
    const first = await cursorOf(await user('ann', { jti: 'a' }))
    expect(await cursorOf(await user('ann', { jti: 'b' }))).toBe(first)
    expect(await cursorOf(await user('bob', { jti: 'a' }))).not.toBe(first)
    await log.database.query(`alter policy of_members on orders
      using (coalesce(current_setting('request.jwt.claims', true)::json ->> 'jti', '') <> 'denied')`)
    const token = await user('ann', { jti: 'denied' })
    await untilShown(token, '{ orders { rows { id } } }', ids())
    const denied = await waitUntil(async () => {
      const stream = await open(IDS, token)
      const { data } = (await stream.results.next('a result')) as Answer
      return JSON.stringify(data) === JSON.stringify(ids()) || undefined
    }, 'the new policy')
    expect(denied).toBe(true)
  })
})
