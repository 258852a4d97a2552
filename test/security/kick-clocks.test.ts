import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Authenticated } from '../../src/auth/authenticated.js'
import { createServer, type ListenqlServer } from '../../src/index.js'
import { payloadOf, type TestSubscription } from '../support/clients.js'
import { createLog, type TestLog } from '../support/log.js'
import { createServerLogin, type ServerLogin } from '../support/server-login.js'
import { inSeconds, SECRET, sign } from '../support/tokens.js'
import { createRoles, type TestRoles } from '../support/viewer-roles.js'
import { VIEWER_TRANSPORTS, type ViewerTransport } from '../support/viewer-transports.js'

/** Kicks when the clocks of the issuer, the server and the database differ. */

let log: TestLog
let roles: TestRoles
let login: ServerLogin
let server: ListenqlServer
/** Another server on the same database. */
let other: ListenqlServer
const started: ListenqlServer[] = []
const opened: TestSubscription[] = []

async function start(options = {}): Promise<ListenqlServer> {
  const url = new URL(log.database.url)
  url.username = login.name
  url.password = login.config.password as string
  const one = await createServer({
    databaseUrl: url.href,
    port: 0,
    logLevel: 'silent',
    jwtSecret: SECRET,
    roleChannels: { [roles.user]: ['people'], [roles.anonymous]: ['people'] },
    ...options,
  })
  started.push(one)
  return one
}

beforeAll(async () => {
  log = await createLog()
  roles = await createRoles(log)
  login = await createServerLogin(log)
  await log.database.query(`grant ${roles.user}, ${roles.anonymous} to ${login.name}`)
  server = await start()
  other = await start()
})
afterAll(async () => {
  await Promise.all(started.map(one => one.close()))
  await login?.close()
  await roles?.drop()
  await log?.close()
})
afterEach(async () => {
  for (const { close } of opened.splice(0)) await close()
})

const [overWs] = VIEWER_TRANSPORTS as readonly [ViewerTransport]
let serial = 0
/** A subject that no other test uses. */
const someone = () => `subject ${++serial}`
const token = (claims: { sub: string; iat?: number | undefined; device?: string }) =>
  sign({ role: roles.user, ...claims })
const kick = (claim: string, value: string) => log.query('select listenql.kick($1, $2)', [claim, value])

async function attempt(at: ListenqlServer, by: string | undefined, transport = overWs) {
  const result = await transport.listen(at.url, 'people', by)
  if (result.kind === 'open') opened.push(result.subscription)
  return result
}
async function open(at: ListenqlServer, by: string | undefined, transport = overWs) {
  const result = await attempt(at, by, transport)
  if (result.kind === 'refused') throw new Error(`refused: ${result.code} ${result.text}`)
  return result.subscription
}
async function comesIn(at: ListenqlServer, by: string | undefined): Promise<boolean> {
  return (await attempt(at, by)).kind === 'open'
}
/** 'open', or why not. */
async function admission(at: ListenqlServer, by: string): Promise<string> {
  const result = await attempt(at, by)
  return result.kind === 'open' ? 'open' : `${result.code} ${result.text}`
}
async function expectEvents(subscription: TestSubscription): Promise<void> {
  const payload = `to ${++serial}`
  await log.database.query(`select pg_notify('people', $1)`, [payload])
  for (;;) if (payloadOf(await subscription.results.next()) === payload) return
}
/** Once a server has ended this session, it knows all kicks that were committed before. */
async function witness(at: ListenqlServer): Promise<() => Promise<void>> {
  const sub = someone()
  const subscription = await open(at, await token({ sub }))
  return async () => {
    await kick('sub', sub)
    expect(await subscription.ended).toBe('4403')
  }
}
/** The fingerprints in the rows of the kicks of a subject. */
async function written(sub: string): Promise<number> {
  const [row] = await log.query(
    `select coalesce(sum(cardinality(tokens)), 0)::int as n from listenql.kick where value = $1`,
    [sub],
  )
  return row?.n as number
}

describe.each(VIEWER_TRANSPORTS)('$name', transport => {
  it('ends a session whose token is dated ahead, and refuses that token', async () => {
    const sub = someone()
    const ahead = await token({ sub, iat: inSeconds(60) })
    const bystander = await open(server, await token({ sub: someone(), iat: inSeconds(60) }))
    const session = await open(server, ahead, transport)
    await kick('sub', sub)
    expect(await session.ended).toBe(transport.over.end)
    expect((await attempt(server, ahead, transport)).kind).toBe('refused')
    await expectEvents(bystander)
  })
})

describe('a token that is dated ahead', () => {
  it('is refused after a kick by all servers, including one that starts later', async () => {
    const sub = someone()
    const ahead = await token({ sub, iat: inSeconds(60) })
    const session = await open(server, ahead)
    await kick('sub', sub)
    expect(await session.ended).toBe('4403')
    await expect.poll(() => written(sub)).toBe(1)
    const met = await attempt(other, ahead)
    // If the other server accepts it before it has read what the first one wrote, it ends it.
    if (met.kind === 'open') expect(await met.subscription.ended).toBe('4403')
    expect(await comesIn(other, ahead)).toBe(false)
    expect(await comesIn(await start(), ahead)).toBe(false)
    expect(await comesIn(server, ahead)).toBe(false)
  })

  it('is refused even if its holder had nothing open at the time of the kick', async () => {
    const sub = someone()
    const ahead = await token({ sub, iat: inSeconds(60) })
    const session = await open(server, ahead)
    await session.close()
    const seen = await witness(server)
    await kick('sub', sub)
    await seen()
    expect(await comesIn(server, ahead)).toBe(false)
    await expect.poll(() => written(sub)).toBe(1)
    expect(await comesIn(await start(), ahead)).toBe(false)
  })

  it('is refused after the server that had accepted it has stopped', async () => {
    const sub = someone()
    const ahead = await token({ sub, iat: inSeconds(60) })
    const first = await start()
    const session = await open(first, ahead)
    await kick('sub', sub)
    expect(await session.ended).toBe('4403')
    await expect.poll(() => written(sub)).toBe(1)
    await first.close()
    expect(await comesIn(await start(), ahead)).toBe(false)
  })

  it.each([0, 2, 61])('does not block a token issued after the kick and dated %d s ahead', async seconds => {
    const sub = someone()
    const known = await witness(other)
    const session = await open(server, await token({ sub, iat: inSeconds(60) }))
    await kick('sub', sub)
    expect(await session.ended).toBe('4403')
    await expect.poll(() => written(sub)).toBe(1)
    await known() // a server that does not know the kick yet cannot tell this token from one that was issued before it
    // Tokens issued in the same second as the kick are refused.
    const [row] = await log.query(
      'select ceil(extract(epoch from max(at)))::float8 as second from listenql.kick where value = $1',
      [sub],
    )
    const iat = Math.max(inSeconds(0), row?.second as number) + seconds
    const session2 = await open(server, await token({ sub, iat }))
    await expectEvents(session2)
    expect(await admission(other, await token({ sub, iat }))).toBe('open')
    // A later kick ends that session too.
    await kick('sub', sub)
    expect(await session2.ended).toBe('4403')
    expect(await admission(server, await token({ sub, iat: inSeconds(60), device: 'new' }))).toBe('open')
  })

  it.each<[string, number]>([
    ['in milliseconds', Date.now()],
    ['with a fraction', inSeconds(60) + 0.25],
    ['beyond the range of dates', 1e300],
  ])('is not evaded by an iat %s', async (_what, iat) => {
    const sub = someone()
    const odd = await token({ sub, iat })
    const session = await open(server, odd)
    await kick('sub', sub)
    expect(await session.ended).toBe('4403')
    expect(await comesIn(server, odd)).toBe(false)
  })
})

describe('a kick', () => {
  it('counts from its commit: tokens that were issued while its transaction was open are refused', async () => {
    const sub = someone()
    const client = await log.connect()
    await client.query('begin')
    await client.query(`select listenql.kick('sub', $1)`, [sub])
    const { rows } = await client.query<{ iat: number }>(
      'select extract(epoch from clock_timestamp())::float8 as iat',
    )
    const iat = rows[0]?.iat as number
    const sessions = [
      await open(server, await token({ sub, iat })),
      await open(other, await token({ sub, iat })),
    ]
    await client.query('commit')
    for (const session of sessions) expect(await session.ended).toBe('4403')
    for (const at of [server, other]) {
      expect(await comesIn(at, await token({ sub, iat }))).toBe(false)
      expect(await comesIn(at, await token({ sub, iat, device: 'never seen before' }))).toBe(false)
    }
  })

  it('ends viewers without a token, and lets them reconnect at once even if the clock of the server is slow', async () => {
    const forAll = await start({ anonymousRole: roles.anonymous })
    const session = await open(forAll, undefined)
    await kick('role', roles.anonymous)
    expect(await session.ended).toBe('4403')
    const again = await open(forAll, undefined)
    await expectEvents(again)
    // For a server whose clock is an hour slow, the time of a kick is an hour ahead.
    await log.query(
      `update listenql.kick set at = now() + interval '1 hour', xid = pg_current_xact_id() where value = $1`,
      [roles.anonymous],
    )
    expect(await again.ended).toBe('4403')
    await expectEvents(await open(forAll, undefined))
  })

  it('ends sessions that authenticate dates ahead, or gives no date', async () => {
    const sub = someone()
    const dates: Record<string, Date> = {
      ahead: new Date(Date.now() + 60_000),
      invalid: new Date(Number.NaN),
    }
    const custom = await start({
      jwtSecret: undefined,
      authenticate: ({ request }: { request: { headers: { authorization?: string } } }): Authenticated => {
        const device = request.headers.authorization?.slice('Bearer '.length) ?? 'none'
        return { role: roles.user, claims: { sub, device }, issuedAt: dates[device] }
      },
    })
    const [, , sse] = VIEWER_TRANSPORTS
    const devices = ['ahead', 'invalid', 'none']
    const sessions = await Promise.all(devices.map(device => open(custom, device, sse)))
    await kick('sub', sub)
    for (const session of sessions) expect(await session.ended).toBe('complete')
    for (const device of devices) expect((await attempt(custom, device, sse)).kind).toBe('refused')
  })
})
