import { createClient as createWsClient } from 'graphql-ws'
import pino from 'pino'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import {
  type Authenticate,
  createServer,
  type Handshake,
  ListenqlError,
  type ListenqlServer,
  type ServerOptions,
} from '../../src/index.js'
import { createDeferred } from '../../src/lib/deferred.js'
import { overSse, payloadOf, type TestSubscription } from '../support/clients.js'
import { Inbox } from '../support/inbox.js'
import { createLog, type TestLog } from '../support/log.js'
import { openWebSocket, post, send } from '../support/raw.js'
import { inSeconds, SECRET, sign, startIssuer } from '../support/tokens.js'
import { createRoles, type TestRoles } from '../support/viewer-roles.js'
import { VIEWER_TRANSPORTS } from '../support/viewer-transports.js'

let log: TestLog
let roles: TestRoles
const servers: ListenqlServer[] = []
const opened: TestSubscription[] = []

/** The server of a single test. */
async function start(options: ServerOptions = {}): Promise<ListenqlServer> {
  const server = await createServer({
    databaseUrl: log.database.url,
    port: 0,
    logLevel: 'silent',
    jwtSecret: SECRET,
    roleChannels: { [roles.user]: ['people'], [roles.anonymous]: ['news'] },
    ...options,
  })
  servers.push(server)
  return server
}
const user = (claims = {}) => sign({ role: roles.user, sub: '42', ...claims })
const keep = <T extends TestSubscription>(subscription: T): T => {
  opened.push(subscription)
  return subscription
}
const notify = (channel: string, payload: string) =>
  log.database.query('select pg_notify($1, $2)', [channel, payload])
const CHANNELS = { query: '{ channels }' }
const QUERY = `/graphql?${new URLSearchParams(CHANNELS)}`

beforeAll(async () => {
  log = await createLog()
  roles = await createRoles(log)
})
afterEach(async () => {
  for (const { close } of opened.splice(0)) await close()
  for (const server of servers.splice(0)) await server.close()
})
afterAll(async () => {
  await roles?.drop()
  await log?.close()
})

describe('over HTTP', () => {
  it('a request without a token gets 401, and a hint how to send one', async () => {
    const { url } = await start()
    for (const accept of ['application/json', 'text/event-stream', 'multipart/mixed;subscriptionSpec=1.0']) {
      const { status, headers, body } = await post(url, CHANNELS, { accept })
      expect({ status, challenge: headers['www-authenticate'] }).toEqual({
        status: 401,
        challenge: 'Bearer realm="listenql"',
      })
      expect(JSON.parse(body)).toEqual({
        errors: [
          {
            message: 'this server requires a token',
            extensions: { code: 'UNAUTHENTICATED', hint: expect.stringContaining('Bearer') },
          },
        ],
      })
    }
  })

  it('a bad token gets 401, whatever is wrong with it', async () => {
    const { url } = await start()
    const answers = await Promise.all(
      ['x', 'a.b.c', await user({ exp: 1 }), await sign({}, { secret: SECRET.repeat(2) })].map(token =>
        post(url, CHANNELS, { authorization: `Bearer ${token}` }),
      ),
    )
    expect(new Set(answers.map(({ body }) => body)).size).toBe(1)
    for (const { status, headers } of answers) {
      expect([status, headers['www-authenticate']]).toEqual([
        401,
        'Bearer realm="listenql", error="invalid_token"',
      ])
    }
  })

  it('a token is accepted from the header, in any letter case, and from the URL of a GET', async () => {
    const { url } = await start()
    const token = await user()
    const ask = (headers: Record<string, string>, path = QUERY) => send(url, { path, headers })
    const data = { data: { channels: ['people'] } }
    for (const authorization of [`Bearer ${token}`, `bearer  ${token} `, `BEARER ${token}`]) {
      expect(JSON.parse((await ask({ authorization })).body)).toEqual(data)
    }
    const answer = await ask({}, `${QUERY}&access_token=${token}`)
    expect(JSON.parse(answer.body)).toEqual(data)
    expect(answer.headers['cache-control']).toBe('no-store')
    expect((await ask({ authorization: `Basic ${token}` })).status).toBe(401)
    expect((await ask({ authorization: 'Bearer' })).status).toBe(401)
    expect((await post(url, CHANNELS, {}, `/graphql?access_token=${token}`)).status).toBe(401)
    // The header counts, not a token that a third party has put into a link.
    expect((await ask({ authorization: 'Bearer x' }, `${QUERY}&access_token=${token}`)).status).toBe(401)
  })

  it('the page and the health checks need no token', async () => {
    const { url } = await start()
    for (const path of ['/', '/healthz', '/readyz']) {
      await expect.poll(async () => (await send(url, { path })).status).toBe(200)
    }
    expect((await send(url, { path: '/listen/people' })).status).toBe(401)
  })

  it('the role determines which channels are open for listening and publishing', async () => {
    const { url } = await start({
      channels: [`own:\${claims.sub}`],
      publish: [],
      rolePublish: { [roles.user]: [`room:\${claims.room}`] },
    })
    const authorization = `Bearer ${await user({ room: 'a' })}`
    expect(JSON.parse((await post(url, CHANNELS, { authorization })).body)).toEqual({
      data: { channels: ['own:42', 'people'] },
    })
    const say = async (channel: string) =>
      JSON.parse(
        (
          await post(
            url,
            {
              query: 'mutation ($c: String!) { notify(channel: $c, payload: "x") }',
              variables: { c: channel },
            },
            { authorization },
          )
        ).body,
      )
    expect(await say('room:a')).toEqual({ data: { notify: true } })
    for (const channel of ['room:b', 'room:', 'people', 'listenql_kick']) {
      expect(await say(channel)).toMatchObject({ errors: [{ extensions: { code: 'CHANNEL_NOT_ALLOWED' } }] })
    }
  })
})

describe('over graphql-ws', () => {
  it.each<[string, (token: string) => Record<string, unknown>]>([
    ['Authorization', token => ({ Authorization: `Bearer ${token}` })],
    ['authorization', token => ({ authorization: `bearer ${token}` })],
    ['without the word Bearer', token => ({ Authorization: token })],
    ['headers.Authorization', token => ({ headers: { Authorization: `Bearer ${token}` } })],
    ['headers.authorization', token => ({ headers: { authorization: `Bearer ${token}` } })],
  ])('a token is accepted from %s', async (_what, params) => {
    const { url } = await start()
    const socket = await openWebSocket(url, '/graphql', 'graphql-transport-ws')
    socket.send({ type: 'connection_init', payload: params(await user()) })
    expect(JSON.parse(await socket.messages.next())).toEqual({ type: 'connection_ack' })
    socket.webSocket.close()
  })

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['an empty payload', {}],
    ['another scheme', { Authorization: 'Basic eDp5' }],
    ['a number', { Authorization: 42 }],
    ['a list', { headers: ['Authorization'] }],
    ['no token', { Authorization: 'Bearer ' }],
  ])('%s is closed with 4401 before any operation', async (_what, payload) => {
    const { url } = await start()
    const socket = await openWebSocket(url, '/graphql', 'graphql-transport-ws')
    socket.send({ type: 'connection_init', payload })
    expect(await socket.closed).toEqual({ code: 4401, reason: 'Unauthorized' })
  })

  it('an operation before connection_ack is closed with 4401', async () => {
    const door = createDeferred()
    const authenticate: Authenticate = async () => {
      await door.promise
      return { role: roles.user, claims: { sub: '42' } }
    }
    const { url } = await start({ jwtSecret: undefined, authenticate })
    const socket = await openWebSocket(url, '/graphql', 'graphql-transport-ws')
    socket.send({ type: 'connection_init' })
    socket.send({
      type: 'subscribe',
      id: '1',
      payload: { query: 'subscription { channel(name: "people") { payload } }' },
    })
    expect(await socket.closed).toMatchObject({ code: 4401 })
    door.resolve()
  })

  it('the client of graphql-ws reconnects with a new token when the old one expires', async () => {
    const { url } = await start({ jwtClockTolerance: 1 })
    let asked = 0
    const results = new Inbox<Record<string, unknown>>()
    const again = new Inbox<number>()
    const codes: unknown[] = []
    const client = createWsClient({
      url: `${url.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      retryWait: () => Promise.resolve(),
      connectionParams: async () => {
        asked++
        return { Authorization: `Bearer ${await user({ exp: inSeconds(asked === 1 ? 2 : 600) })}` }
      },
      on: {
        closed: event => codes.push([(event as CloseEvent).code, (event as CloseEvent).reason]),
        ping: (received, payload) => {
          if (received && payload?.cursors) again.push(asked)
        },
      },
    })
    client.subscribe<Record<string, unknown>>(
      { query: 'subscription { channel(name: "people") { payload } }' },
      {
        next: value => results.push(value as Record<string, unknown>),
        error: () => undefined,
        complete: () => undefined,
      },
    )
    await again.take(2)
    await notify('people', 'after renewal')
    expect(payloadOf(await results.next())).toBe('after renewal')
    expect(codes).toEqual([[4403, 'Token expired']])
    await client.dispose()
  })
})

describe('a cookie', () => {
  const withCookie = async (headers: Record<string, string>, options: ServerOptions = {}) => {
    const { url } = await start({ tokenCookie: 'session', ...options })
    const { host } = new URL(url)
    const cookie = `a=b; session=${await user()}; sessions=x`
    const own: Record<string, string> = { cookie, host, ...headers }
    if (own.origin === 'own') own.origin = `http://${host}`
    const { status } = await send(url, { path: QUERY, headers: own })
    const opening = openWebSocket(url, '/listen/people', [], { headers: own })
    const upgrade = await opening.then(
      ({ webSocket }) => {
        webSocket.close()
        return 101
      },
      error => Number(/^\d+/.exec((error as Error).message)?.[0]),
    )
    return [status, upgrade]
  }

  it.each<[string, Record<string, string>, ServerOptions, readonly number[]]>([
    [
      'from the same origin, according to fetch metadata',
      { 'sec-fetch-site': 'same-origin' },
      {},
      [200, 101],
    ],
    ["from the server's own page", { origin: 'own' }, {}, [200, 101]],
    [
      'from an allowed origin',
      { origin: 'https://app.example.com' },
      { corsOrigins: ['https://*.example.com'] },
      [200, 101],
    ],
    ['from an unknown origin', {}, {}, [401, 401]],
    ['from another site', { 'sec-fetch-site': 'cross-site' }, {}, [401, 401]],
    ['from the address bar', { 'sec-fetch-site': 'none' }, {}, [401, 401]],
    ['from another subdomain of the site', { 'sec-fetch-site': 'same-site' }, {}, [401, 401]],
    ['from another origin', { origin: 'https://evil.example' }, {}, [403, 403]],
    ['from a page on another port of this machine', { origin: 'http://localhost:1' }, {}, [401, 401]],
    [
      'from any origin, if * is listed',
      { origin: 'https://evil.example' },
      { corsOrigins: ['*'] },
      [401, 401],
    ],
    ['from the origin null, if it is listed', { origin: 'null' }, { corsOrigins: ['null'] }, [401, 401]],
    [
      'with a name that is not configured',
      { 'sec-fetch-site': 'same-origin' },
      { tokenCookie: 'other' },
      [401, 401],
    ],
  ])('%s', async (_what, headers, options, expected) => {
    expect(await withCookie(headers, options)).toEqual(expected)
  })

  it('may be sent by pages of allowed origins', async () => {
    const { url } = await start({ tokenCookie: 'session', corsOrigins: ['https://app.example.com', '*'] })
    const credentials = async (origin: string) =>
      (await send(url, { path: QUERY, headers: { origin } })).headers['access-control-allow-credentials']
    expect(await credentials('https://app.example.com')).toBe('true')
    expect(await credentials('https://evil.example')).toBeUndefined()
  })
})

describe('without a token', () => {
  it.each(VIEWER_TRANSPORTS)('viewers have the anonymous role: $name', async transport => {
    const { url } = await start({ anonymousRole: roles.anonymous })
    const attempt = await transport.listen(url, 'news', undefined)
    if (attempt.kind === 'refused') throw new Error(`refused: ${attempt.code}`)
    keep(attempt.subscription)
    await notify('news', 'for all')
    expect(payloadOf(await attempt.subscription.results.next())).toBe('for all')
    // An invalid token is not the same as no token.
    expect(await transport.listen(url, 'news', 'x')).toMatchObject({ code: transport.unauthenticated })
  })

  it('an anonymous role alone turns on viewers, and opens nothing else', async () => {
    const { url } = await start({ jwtSecret: undefined, anonymousRole: roles.anonymous })
    expect(JSON.parse((await post(url, CHANNELS)).body)).toEqual({ data: { channels: ['news'] } })
    expect((await post(url, CHANNELS, { authorization: `Bearer ${await user()}` })).status).toBe(401)
  })

  it('a token without a role gets the anonymous role', async () => {
    const { url } = await start({ anonymousRole: roles.anonymous })
    const authorization = `Bearer ${await sign({ sub: '42' })}`
    expect(JSON.parse((await post(url, CHANNELS, { authorization })).body)).toEqual({
      data: { channels: ['news'] },
    })
  })
})

describe('roles', () => {
  const statusOf = async ({ url }: ListenqlServer, role: string) =>
    (await post(url, CHANNELS, { authorization: `Bearer ${await user({ role })}` })).status

  it('may be used only if they are listed, even if they are exempt from row-level security', async () => {
    const server = await start({ roles: [roles.superuser, roles.exempt, log.database.name, roles.stranger] })
    expect(await statusOf(server, roles.superuser)).toBe(200)
    expect(await statusOf(server, roles.exempt)).toBe(200)
    expect(await statusOf(server, log.database.name)).toBe(200)
    expect(await statusOf(server, roles.stranger)).toBe(403) // listed, but the login is not a member
    expect(await statusOf(server, roles.user)).toBe(403)
  })

  it('may be nested in the token', async () => {
    const { url } = await start({ roleClaim: 'app_metadata.role' })
    const authorization = `Bearer ${await sign({ app_metadata: { role: roles.user } })}`
    expect((await post(url, CHANNELS, { authorization })).status).toBe(200)
  })

  describe('that the login loses', () => {
    const revoke = () => log.database.query(`revoke ${roles.user} from ${log.database.name}`)
    afterEach(() => log.database.query(`grant ${roles.user} to ${log.database.name}`))

    it.each(VIEWER_TRANSPORTS)(
      'end open streams as they are refused from then on: $name',
      async transport => {
        const { url } = await start()
        const attempt = await transport.listen(url, 'people', await user())
        if (attempt.kind === 'refused') throw new Error(`refused: ${attempt.code}`)
        const { results, ended } = keep(attempt.subscription)
        await revoke()
        // The raw WebSocket has no message for an error.
        if (transport.name !== '/listen') {
          const message = 'the role of this token may not be used here'
          const hint = "the server's log has the reason"
          expect((await results.next()).errors).toEqual([
            { message, extensions: { code: 'FORBIDDEN', hint } },
          ])
        }
        expect(await ended).toBe(transport.over.end)
        expect(await transport.listen(url, 'people', await user())).toMatchObject({
          code: transport.forbidden,
        })
      },
    )

    it('close WebSockets with the reason after which clients give up', async () => {
      const { url } = await start()
      const socket = await openWebSocket(url, '/graphql', 'graphql-transport-ws')
      socket.send({ type: 'connection_init', payload: { Authorization: `Bearer ${await user()}` } })
      await socket.messages.next('the acknowledgement')
      const listener = await openWebSocket(url, `/listen/people?access_token=${await user()}`)
      await revoke()
      for (const { closed } of [socket, listener])
        expect(await closed).toEqual({ code: 4403, reason: 'Forbidden' })
    })
  })
})

describe('keys that cannot be fetched', () => {
  it.each(VIEWER_TRANSPORTS)('are not reported as a fault of the token: $name', async transport => {
    const issuer = await startIssuer()
    try {
      const { url } = await start({ jwtSecret: undefined, jwksUrl: issuer.url })
      const token = await issuer.sign({ role: roles.user })
      issuer.answer = { status: 500, body: 'secret of the issuer' }
      const attempt = await transport.listen(url, 'people', token)
      expect(attempt).toMatchObject({ kind: 'refused', code: transport.unavailable })
      expect(JSON.stringify(attempt)).not.toMatch(/secret of the issuer|127.0.0.1/)
    } finally {
      await issuer.close()
    }
  })
})

describe('the function authenticate', () => {
  const letIn: Authenticate = ({ request, connectionParams }: Handshake) => {
    const name = request.headers['x-user'] ?? connectionParams?.user
    if (name === 'crash') throw new Error('the session store has the password hunter2')
    if (name === 'later') throw new ListenqlError('AUTHENTICATION_UNAVAILABLE', 'the session store is away')
    if (name === 'brief') return { role: roles.user, expiresAt: new Date(Date.now() + 300) }
    return typeof name === 'string' ? { role: name, claims: { sub: name } } : undefined
  }
  const options = () => ({
    jwtSecret: undefined,
    authenticate: letIn,
    roleChannels: { [roles.user]: [`of:\${claims.sub}`] },
  })

  it('identifies the viewer over HTTP', async () => {
    const { url } = await start(options())
    const ask = (name?: string) => post(url, CHANNELS, name === undefined ? {} : { 'x-user': name })
    expect(JSON.parse((await ask(roles.user)).body)).toEqual({ data: { channels: [`of:${roles.user}`] } })
    expect((await ask()).status).toBe(401)
    expect((await ask(roles.stranger)).status).toBe(403)
    const { status, body } = await ask('crash')
    expect([status, body.includes('hunter2')]).toEqual([401, false])
    expect((await ask('later')).status).toBe(503)
    // Tokens do not count when the function is set.
    expect((await post(url, CHANNELS, { authorization: `Bearer ${await user()}` })).status).toBe(401)
  })

  it('identifies the viewer over graphql-ws, and sets the expiry', async () => {
    const { url } = await start(options())
    const socket = await openWebSocket(url, '/graphql', 'graphql-transport-ws')
    socket.send({ type: 'connection_init', payload: { user: 'brief' } })
    expect(JSON.parse(await socket.messages.next())).toEqual({ type: 'connection_ack' })
    expect(await socket.closed).toEqual({ code: 4403, reason: 'Token expired' })
  })
})

describe('a configuration', () => {
  it.each<[string, () => ServerOptions, string]>([
    ['with a short secret', () => ({ jwtSecret: 'hunter2' }), 'has 7 bytes'],
    ['with two secrets', () => ({ jwtSecretFile: '/x' }), 'both given'],
    [
      'with a secret file that does not exist',
      () => ({ jwtSecret: undefined, jwtSecretFile: '/nowhere' }),
      'cannot be read',
    ],
    ['with roles and no keys', () => ({ jwtSecret: undefined }), '--role-channels is given, but no option'],
    [
      'with a claim in brackets',
      () => ({ roleChannels: { x: [`[\${claims.x}]`] } }),
      'may not be within brackets',
    ],
  ])('%s is refused', async (_what, options, problem) => {
    await expect(start(options())).rejects.toMatchObject({
      code: 'BAD_CONFIGURATION',
      message: expect.stringContaining(problem),
    })
  })

  it('without any channels opens none', async () => {
    const { url } = await start({ roleChannels: {} })
    const refused = keep(
      await overSse('GET')(
        url,
        'subscription { channel(name: "people") { payload } }',
        {},
        { token: await user() },
      ),
    )
    expect(await refused.results.next()).toMatchObject({
      errors: [{ extensions: { code: 'CHANNEL_NOT_ALLOWED' } }],
    })
  })
})

it('no log contains a token, however the client sent it', async () => {
  let text = ''
  const logger = pino(
    { level: 'trace' },
    {
      write(line) {
        text += line
      },
    },
  )
  const { url } = await start({ logger, tokenCookie: 'session' })
  const bad = `${await user()}x`
  for (const transport of VIEWER_TRANSPORTS) {
    expect(await transport.listen(url, 'people', bad)).toMatchObject({ kind: 'refused' })
    const good = await transport.listen(url, 'people', await user())
    if (good.kind === 'open') keep(good.subscription)
  }
  await send(url, { path: `/graphql?access_token=${bad}` })
  await send(url, { path: `/nowhere?access_token=${bad}` })
  await send(url, { path: QUERY, headers: { cookie: `session=${bad}`, 'sec-fetch-site': 'same-origin' } })
  expect(text).toContain('A viewer was refused.')
  expect(text).not.toMatch(/eyJ|access_token/)
  expect(text).not.toContain(SECRET)
})
