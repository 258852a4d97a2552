import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createGroups } from '../../../src/delivery/groups.js'
import { createDeepHealth } from '../../../src/server/inspection/deep-health.js'
import { groupOptions } from '../../support/group.js'
import { createLive, type Live } from '../../support/live.js'
import { createLog, type TestLog } from '../../support/log.js'
import { createServerLogin } from '../../support/server-login.js'

let log: TestLog
let live: Live

beforeAll(async () => {
  log = await createLog()
  await log.query('create table people (pk int primary key)')
  await log.watch('people')
  live = await createLive(log)
  await live.ready('{ people { cursor } }')
})
afterAll(async () => {
  await live.close()
  await log.close()
})

const ask = async (path: string) => {
  const response = await fetch(`${live.server.url}${path}`)
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}
const published = async () =>
  (await log.query(`select count(*)::int from listenql.event where topic like 'listenql_health%'`))[0]?.count

describe('/healthz?deep', () => {
  it('delivers an event, and gives the same answer for a while', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => ask('/healthz?deep')))
    expect(all[0]).toEqual({
      status: 200,
      body: { status: 'ok', deep: { tookMs: expect.any(Number), checkedAt: expect.any(String) } },
    })
    for (const one of all) expect(one).toEqual(all[0])
    expect(await ask('/healthz?deep=1')).toEqual(all[0])
    expect(await published()).toBe(1)
    expect(await ask('/healthz')).toEqual({ status: 200, body: { status: 'ok' } })
    expect(await published()).toBe(1)
  })

  it('is not open to clients as a channel', async () => {
    const [row] = await log.query(`select topic from listenql.event where topic like 'listenql_health%'`)
    const response = await fetch(`${live.server.url}/listen/${row?.topic}`)
    expect(response.status).toBe(403)
  })
})

describe('the check', () => {
  const outbound = groupOptions
  const groups = createGroups(groupOptions)
  const publish = async () => undefined
  const follow = () => () => undefined

  it('fails if the event does not arrive in time, and tries again after the interval', async () => {
    const check = createDeepHealth({ groups, follow, publish, outbound, deadline: 20, interval: 0 })
    const reason = 'the event did not arrive within 20 ms'
    expect(await check(true)).toMatchObject({
      status: 503,
      body: { status: 'failed', deep: { step: 'deliver', reason } },
    })
    expect(groups.size).toEqual({ groups: 0, subscribers: 0 })
    let calls = 0
    const again = createDeepHealth({
      ...{ groups, follow, outbound, deadline: 20, interval: 0 },
      publish: async () => void calls++,
    })
    await again(true)
    await again(true)
    expect(calls).toBe(2)
  })

  it('does not take an event of another check', async () => {
    const check = createDeepHealth({
      ...{ groups, publish, outbound, deadline: 20, interval: 0 },
      follow(_kind, _topic, { event }) {
        setImmediate(() =>
          event({ new: 'another', position: { n: 1, token: 1, ord: 1, statement: 1, id: 1 } } as never),
        )
        return () => undefined
      },
    })
    expect((await check(true)).status).toBe(503)
  })

  it('answers in time if the database does not', async () => {
    const check = createDeepHealth({
      ...{ groups, follow, outbound, deadline: 20 },
      publish: () => new Promise<void>(() => undefined), // it waits for a connection
    })
    expect(await check(true)).toMatchObject({ status: 503, body: { deep: { step: 'publish' } } })
    expect(groups.size).toEqual({ groups: 0, subscribers: 0 })
  })

  it('shows the message of the database to operators only', async () => {
    const check = createDeepHealth({
      ...{ groups, follow, outbound },
      publish: () => Promise.reject(new Error('connect ECONNREFUSED 10.1.2.3:5432')),
    })
    expect(await check(false)).toMatchObject({
      status: 503,
      body: { status: 'failed', deep: { step: 'publish', reason: 'the event could not be published' } },
    })
    expect(await check(true)).toMatchObject({
      body: { deep: { reason: 'connect ECONNREFUSED 10.1.2.3:5432' } },
    })
  })

  it('says where the database refuses, and what to do if the login may not publish or there is no event log', async () => {
    const failing = createDeepHealth({
      ...{ groups, follow, outbound },
      publish: () => Promise.reject(new Error('the disk is full')),
    })
    expect(await failing(true)).toMatchObject({
      status: 503,
      body: { deep: { step: 'publish', reason: 'the disk is full' } },
    })
    const login = await createServerLogin(log)
    const client = await login.connect()
    const forbidden = createDeepHealth({
      ...{ groups, follow, outbound },
      publish: async (channel, payload) =>
        void (await client.query('select listenql.publish($1::text, $2::text)', [channel, payload])),
    })
    expect(await forbidden(true)).toMatchObject({
      status: 501,
      body: { status: 'not possible', deep: { hint: expect.stringContaining('grant execute') } },
    })
    const withoutLog = createDeepHealth({
      ...{ groups, follow, outbound },
      publish: async () => void (await client.query(`select missing.publish('c', 'p')`)),
    })
    expect(await withoutLog(true)).toMatchObject({
      status: 501,
      body: { status: 'not possible', deep: { hint: expect.stringContaining('listenql install') } },
    })
    await login.close()
  })
})
