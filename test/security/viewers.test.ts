import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createServer, type ListenqlServer, type Observation } from '../../src/index.js'
import { payloadOf, type TestSubscription } from '../support/clients.js'
import { createLog, type TestLog } from '../support/log.js'
import { inSeconds, SECRET, sign } from '../support/tokens.js'
import { createRoles, type TestRoles } from '../support/viewer-roles.js'
import { VIEWER_TRANSPORTS, type ViewerTransport } from '../support/viewer-transports.js'

let log: TestLog
let roles: TestRoles
let server: ListenqlServer
/** Another server on the same database. */
let other: ListenqlServer
const observations: Observation[] = []

const start = (options = {}) =>
  createServer({
    databaseUrl: log.database.url,
    port: 0,
    logLevel: 'silent',
    jwtSecret: SECRET,
    jwtClockTolerance: 1,
    roleChannels: { [roles.user]: ['people', `room:\${claims.room}`, `user.\${claims.sub}.*`] },
    observe: observation => observations.push(observation),
    ...options,
  })
const user = (claims = {}) => sign({ role: roles.user, sub: '42', room: 'a', ...claims })

beforeAll(async () => {
  log = await createLog()
  roles = await createRoles(log)
  server = await start()
  other = await start()
})
afterAll(async () => {
  await Promise.all([server?.close(), other?.close()])
  await roles?.drop()
  await log?.close()
})

const opened: TestSubscription[] = []
afterEach(async () => {
  for (const { close } of opened.splice(0)) await close()
})

async function open(
  transport: ViewerTransport,
  channel: string,
  token: string | undefined,
  at = server,
): Promise<TestSubscription> {
  const attempt = await transport.listen(at.url, channel, token)
  if (attempt.kind === 'refused') throw new Error(`refused: ${attempt.code} ${attempt.text}`)
  opened.push(attempt.subscription)
  return attempt.subscription
}

const notify = (channel: string, payload: string) =>
  log.database.query('select pg_notify($1, $2)', [channel, payload])

describe.each(VIEWER_TRANSPORTS)('$name', transport => {
  const refusal = async (token: string | undefined, channel = 'people', at = server) => {
    const attempt = await transport.listen(at.url, channel, token)
    if (attempt.kind === 'open') {
      opened.push(attempt.subscription)
      return 'let in'
    }
    for (const secret of [SECRET, token, roles.user]) if (secret) expect(attempt.text).not.toContain(secret)
    return attempt.code
  }
  /** The outcome of an attempt to listen to a channel that is not open to the viewer. */
  const isRefusedOn = async (channel: string, token: string) => {
    const attempt = await transport.listen(server.url, channel, token)
    if (attempt.kind === 'refused') return attempt.code === 403
    opened.push(attempt.subscription)
    const result = await attempt.subscription.results.next('a refusal')
    return JSON.stringify(result).includes('CHANNEL_NOT_ALLOWED')
  }
  const expectOver = async (subscription: TestSubscription, message: string) => {
    if (transport.over.hasError) {
      expect(await subscription.results.next('the error that ends it')).toMatchObject({
        errors: [{ message, extensions: { code: 'UNAUTHENTICATED' } }],
      })
    }
    expect(await subscription.ended).toBe(transport.over.end)
  }

  it('lets a viewer with a token listen to the channels of its role', async () => {
    const token = await user()
    for (const channel of ['people', 'room:a', 'user.42.inbox']) {
      const subscription = await open(transport, channel, token)
      await notify(channel, 'heard')
      expect(payloadOf(await subscription.results.next())).toBe('heard')
    }
  })

  it('refuses every other channel', async () => {
    const token = await user()
    for (const channel of ['other', 'room:b', 'room:', 'user.43.inbox', 'listenql', 'listenql_kick']) {
      expect(await isRefusedOn(channel, token)).toBe(true)
    }
    expect(await isRefusedOn('room:b', await user({ room: '*' }))).toBe(true)
    expect(await isRefusedOn('user.43.x', await user({ sub: '*' }))).toBe(true)
    expect(await isRefusedOn('room:undefined', await user({ room: undefined }))).toBe(true)
  })

  it('refuses a client without a token, or with an invalid one', async () => {
    const { unauthenticated } = transport
    expect(await refusal(undefined)).toBe(unauthenticated)
    expect(await refusal('nonsense')).toBe(unauthenticated)
    expect(await refusal(await user({ exp: inSeconds(-10) }))).toBe(unauthenticated)
    expect(await refusal(await user({ nbf: inSeconds(60) }))).toBe(unauthenticated)
    expect(await refusal(await sign({ role: roles.user }, { secret: SECRET.toUpperCase() }))).toBe(
      unauthenticated,
    )
    const [header, payload] = (await user()).split('.')
    expect(await refusal(`${header}.${payload}.`)).toBe(unauthenticated)
    const none = Buffer.from('{"alg":"none"}').toString('base64url')
    expect(await refusal(`${none}.${payload}.`)).toBe(unauthenticated)
  })

  it('refuses roles that may not be used', async () => {
    const { forbidden } = transport
    for (const role of [
      roles.stranger,
      roles.superuser,
      roles.exempt,
      log.database.name,
      'nobody_at_all',
      '',
      42,
      null,
      undefined,
    ]) {
      expect({ role, came: await refusal(await user({ role })) }).toEqual({ role, came: forbidden })
    }
  })

  it('ends a stream when its token expires', async () => {
    const subscription = await open(transport, 'people', await user({ exp: inSeconds(2) }))
    await notify('people', 'in time')
    expect(payloadOf(await subscription.results.next())).toBe('in time')
    await expectOver(subscription, 'Token expired')
  })

  it('ends the sessions that a kick is meant for, on all servers, and no others', async () => {
    const sub = `kicked ${transport.name}`
    const token = await user({ sub })
    const here = await open(transport, 'people', token)
    const there = await open(transport, 'people', token, other)
    const bystander = await open(transport, 'people', await user())
    await log.query(`select listenql.kick('sub', $1)`, [sub])
    await expectOver(here, 'Session ended')
    await expectOver(there, 'Session ended')
    await notify('people', 'still here')
    expect(payloadOf(await bystander.results.next())).toBe('still here')
    for (const at of [server, other]) {
      expect(await refusal(token, 'people', at)).toBe(transport.unauthenticated)
      expect(await refusal(await user({ sub, iat: undefined }), 'people', at)).toBe(transport.unauthenticated)
      expect(await refusal(await user({ sub, iat: inSeconds(2) }), 'people', at)).toBe('let in')
    }
  })
})

it('does not end a stream whose token is valid for ages, or for ever', async () => {
  for (const transport of VIEWER_TRANSPORTS) {
    for (const exp of [inSeconds(60 * 86_400), 253_402_300_799, undefined]) {
      const subscription = await open(transport, 'people', await user({ exp }))
      await notify('people', 'heard')
      expect(payloadOf(await subscription.results.next())).toBe('heard')
    }
  }
})

it('ignores a notification without a kick', async () => {
  const [transport] = VIEWER_TRANSPORTS
  const subscription = await open(transport as ViewerTransport, 'people', await user())
  for (const payload of ['', '{"claim":"sub","value":"42"}', 'x']) await notify('listenql_kick', payload)
  await notify('people', 'still here')
  expect(payloadOf(await subscription.results.next())).toBe('still here')
})

it('learns of a kick without notifications too', async () => {
  const polling = await start({ doorbell: 'poll' })
  try {
    const [transport] = VIEWER_TRANSPORTS
    const token = await user({ sub: 'polled' })
    const subscription = await open(transport as ViewerTransport, 'people', token, polling)
    await log.query(`select listenql.kick('sub', 'polled')`)
    expect(await subscription.ended).toBe('4403')
  } finally {
    await polling.close()
  }
})

it('accepts a renewed token at once', async () => {
  const [transport] = VIEWER_TRANSPORTS
  const first = await open(transport as ViewerTransport, 'people', await user({ exp: inSeconds(60) }))
  const second = await open(transport as ViewerTransport, 'people', await user({ exp: inSeconds(120) }))
  await notify('people', 'to both')
  for (const { results } of [first, second]) expect(payloadOf(await results.next())).toBe('to both')
})

it('logs the reason, and tells clients nothing', () => {
  const refused = observations.filter(one => one.type === 'viewer.refused')
  expect(refused.map(({ reason }) => reason)).toEqual(
    expect.arrayContaining([
      expect.stringContaining('ERR_JWT_EXPIRED'),
      expect.stringContaining('ERR_JWS_SIGNATURE_VERIFICATION_FAILED'),
      expect.stringContaining(`is not a member of role ${roles.stranger}: grant ${roles.stranger} to `),
      `role ${roles.superuser} is exempt from row-level security, and not in --roles`,
      `role ${log.database.name} is the server's own login, and not in --roles`,
      'its holder was kicked',
    ]),
  )
  expect(JSON.stringify(observations)).not.toMatch(/eyJ|access_token/)
  expect(observations.filter(one => one.type === 'fault')).toEqual([])
})
