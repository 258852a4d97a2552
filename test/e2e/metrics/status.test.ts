import { afterAll, beforeAll, expect, it } from 'vitest'
import { version } from '../../../src/telemetry/version.js'
import { openConnection } from '../../support/raw.js'
import { SECRET, sign } from '../../support/tokens.js'
import { waitUntil } from '../../support/wait.js'
import { addPerson, createWorld, PEOPLE, type World } from './world.js'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world?.close())

const CHANNEL = 'subscription { channel(name: "people") { payload } }'

interface Status {
  readonly slowest: readonly { readonly waitingBytes: number }[]
  readonly hottest: { readonly tables: readonly { readonly events: number }[] }
}

const statusOf = async ({ metricsUrl }: { metricsUrl: string | undefined }) =>
  (await (await fetch(`${metricsUrl}/status`)).json()) as Status

it('shows what is large, hot and costly, with the version of the instance', async () => {
  const server = await world.server()
  const { results } = await world.subscribe(PEOPLE)
  await world.subscribe(PEOPLE)
  const live = await world.subscribe('subscription { people { rows { pk } } }')
  await live.results.next('the first result')
  await addPerson(world)
  await results.next('the change')
  await live.results.next('the second result')
  expect(await statusOf(server)).toMatchObject({
    instance: { version: version(), node: process.versions.node, pid: process.pid },
    ready: true,
    notReady: [],
    log: { bytes: expect.any(Number), lagEvents: 0, lagSeconds: 0 },
    connections: { open: 3, byTransport: { 'graphql-ws': 3 } },
    groups: {
      open: 2,
      subscribers: 3,
      largest: [
        { kind: 'table', topic: 'people', subscribers: 2 },
        { kind: 'live', topic: 'people', subscribers: 1 },
      ],
    },
    hottest: { tables: [{ name: 'people', events: 1, perSecond: expect.any(Number) }] },
    liveQueries: { open: 1, costliest: [{ table: 'people', reads: 2, rows: 1 }] },
  })
})

it('shows the connections that do not keep up, the one with the most bytes first', async () => {
  const server = await world.server({ stallTimeout: 60_000 })
  const { socket } = await openConnection(server.url)
  socket.write(
    `GET /graphql?query=${encodeURIComponent(CHANNEL)} HTTP/1.1\r\nHost: localhost:${server.port}\r\nAccept: text/event-stream\r\n\r\n`,
  )
  await new Promise(resolve => socket.once('data', resolve))
  socket.pause()
  await world.log.query(`select pg_notify('people', g || repeat('x', 7000)) from generate_series(1, 1500) g`)
  const [slowest] = await waitUntil(async () => {
    const { slowest } = await statusOf(server)
    return slowest.length > 0 ? slowest : undefined
  }, 'a slow connection')
  expect(slowest).toEqual({
    transport: 'sse',
    remote: expect.stringMatching(/:\d+$/),
    waitingBytes: expect.any(Number),
    blockedSeconds: expect.any(Number),
    topics: ['*'],
  })
  socket.destroy()
})

it('has no claim, no token, no document and no payload', async () => {
  const server = await world.server({
    jwtSecret: SECRET,
    roleChannels: { [world.roles.user]: [`user.\${claims.sub}`] },
  })
  const token = await sign({ role: world.roles.user, sub: 'viewer-42', secret: 'a-claim' })
  const { results } = await world.subscribe(
    'subscription Doc { channel(name: "user.viewer-42") { payload } }',
    server,
    { token },
  )
  await world.log.query(`notify "user.viewer-42", 'a-payload'`)
  await results.next('the payload')
  const texts = await Promise.all(
    ['/status', '/metrics'].map(async path => (await fetch(`${server.metricsUrl}${path}`)).text()),
  )
  for (const text of texts) expect(text).toContain(`user.\${claims.sub}`)
  for (const text of texts)
    for (const secret of ['viewer-42', 'a-claim', token, 'a-payload', 'Doc', world.roles.user])
      expect(text).not.toContain(secret)
})
