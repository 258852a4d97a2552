import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createServer, type ListenqlServer, type Observation } from '../../src/index.js'
import { payloadOf, type TestSubscription } from '../support/clients.js'
import { type PrivatePostgres, startPrivatePostgres } from '../support/postgres.js'
import { openConnection } from '../support/raw.js'
import { SECRET, sign } from '../support/tokens.js'
import { VIEWER_TRANSPORTS } from '../support/viewer-transports.js'
import { waitUntil } from '../support/wait.js'

let postgres: PrivatePostgres
const observations: Observation[] = []

async function query(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: postgres.adminUrl })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}

const start = (): Promise<ListenqlServer> =>
  createServer({
    databaseUrl: postgres.url,
    port: 0,
    logLevel: 'silent',
    jwtSecret: SECRET,
    reconnectMax: 100,
    roleChannels: { member: ['people'] },
    observe: observation => observations.push(observation),
  })

beforeAll(async () => {
  postgres = await startPrivatePostgres()
  await query(`create role member; grant member to ${new URL(postgres.url).username}`)
})
afterAll(() => postgres?.close())

it('outages of the database do not refuse viewers with a valid token, on any transport', async () => {
  await postgres.stop('fast')
  const server = await start()
  try {
    const token = await sign({ role: 'member' })
    const attempts = VIEWER_TRANSPORTS.map(({ listen }) => listen(server.url, 'people', token))
    // A viewer that leaves in the meantime is forgotten.
    const leaving = await openConnection(server.url)
    leaving.socket.write(
      `GET /graphql?query=subscription{channel(name:"people"){payload}}&access_token=${token} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n`,
    )
    await waitUntil(
      () => observations.some(({ type }) => type === 'viewers.unchecked'),
      'the outage to be noticed',
    )
    leaving.socket.destroy()
    // Invalid even without asking the database.
    const [transport] = VIEWER_TRANSPORTS
    expect(await transport?.listen(server.url, 'people', 'x')).toMatchObject({ kind: 'refused', code: 4401 })

    await postgres.start()
    const subscriptions: TestSubscription[] = []
    for (const attempt of await Promise.all(attempts)) {
      if (attempt.kind === 'refused') throw new Error(`refused: ${attempt.code} ${attempt.text}`)
      subscriptions.push(attempt.subscription)
    }
    await query(`notify people, 'after the outage'`)
    for (const { results } of subscriptions) expect(payloadOf(await results.next())).toBe('after the outage')
    const joined = () => observations.filter(({ type }) => type === 'subscriber.joined').length
    const left = () => observations.filter(({ type }) => type === 'subscriber.left').length
    expect(joined() - left()).toBe(subscriptions.length)
    for (const { close } of subscriptions) await close()
    await waitUntil(() => joined() === left(), 'all subscribers to leave')
  } finally {
    await server.close()
  }
})
