import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  createServer,
  type ListenqlServer,
  type Observation,
  type ServerOptions,
} from '../../../src/index.js'
import { resultOf } from '../../support/graphql-request.js'
import { type HoldingProxy, startHoldingProxy } from '../../support/holding-proxy.js'
import { createLog, type TestLog } from '../../support/log.js'
import { openGraphql } from '../../support/raw.js'
import { SECRET, startIssuer } from '../../support/tokens.js'
import { createRoles, type TestRoles } from '../../support/viewer-roles.js'
import { VIEWER_TRANSPORTS } from '../../support/viewer-transports.js'
import { waitUntil } from '../../support/wait.js'

// What a client has asked for when the settings change, and has not got yet.

let log: TestLog
let proxy: HoldingProxy
let roles: TestRoles
let server: ListenqlServer
let observations: Observation[]
beforeEach(async () => {
  log = await createLog()
  roles = await createRoles(log)
  const { hostname, port } = new URL(log.database.url)
  proxy = await startHoldingProxy({ host: hostname, port: Number(port) })
  observations = []
})
afterEach(async () => {
  proxy?.release()
  await server?.close()
  await proxy?.close()
  await roles?.drop()
  await log?.close()
})

const common = (): ServerOptions => {
  const url = new URL(log.database.url)
  url.hostname = '127.0.0.1'
  url.port = String(proxy.port)
  return { databaseUrl: url.href, host: 'localhost', port: 0, logLevel: 'silent' }
}
async function start(options: ServerOptions): Promise<void> {
  server = await createServer({
    ...common(),
    ...options,
    observe: observation => observations.push(observation),
  })
}
const reload = (options: ServerOptions) => server.reload({ ...common(), ...options })
const count = (type: Observation['type']) => observations.filter(one => one.type === type).length

describe('a channel that is no longer allowed', () => {
  it.each(VIEWER_TRANSPORTS)(
    'does not open for a client whose LISTEN is in flight: $name',
    async ({ listen }) => {
      await start({ channels: ['withdrawn'] })
      proxy.hold('withdrawn')
      const attempt = listen(server.url, 'withdrawn', undefined)
      await waitUntil(() => proxy.isHolding, 'LISTEN')
      reload({ channels: [] })
      proxy.release()
      const result = await attempt
      if (result.kind === 'open') await result.subscription.ended
      expect(count('subscriber.joined')).toBe(count('subscriber.left'))
    },
  )
})

it('a token whose key is withdrawn while it is verified is refused', async () => {
  const issuer = await startIssuer()
  try {
    issuer.answer = 'silence'
    await start({ jwksUrl: issuer.url, channels: ['*'] })
    const token = await issuer.sign({ role: roles.user })
    const answer = resultOf(server.url, '{ channels }', { token })
    await expect.poll(() => issuer.asked).toBe(1)
    reload({ jwtSecret: SECRET, channels: ['*'] })
    issuer.proceed()
    expect(await answer).toMatchObject({ errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] })
  } finally {
    await issuer.close()
  }
})

it('an open WebSocket begins as many operations in a second as the new limit says', async () => {
  await start({ subscribeRate: 1000 })
  const client = await openGraphql(server.url)
  reload({ subscribeRate: 1, maxSubscriptionsPerConnection: 1 })
  const codes: unknown[] = []
  for (let id = 0; id < 5; id++) {
    client.send({ id: `${id}`, type: 'subscribe', payload: { query: '{ channels }' } })
    const { type, payload } = await client.next('an answer')
    if (type === 'error') codes.push((payload as { extensions: object }[])[0]?.extensions)
    else await client.next('complete')
  }
  client.webSocket.terminate()
  expect(codes[0]).toMatchObject({ code: 'LIMIT_EXCEEDED', limit: 'subscribeRate' })
})
