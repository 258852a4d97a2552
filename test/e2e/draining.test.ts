import { afterEach, describe, expect, it, vi } from 'vitest'
import { createServer, type ListenqlServer, type Observation, type ServerOptions } from '../../src/index.js'
import { GRAPHQL_TRANSPORTS, overListen, type TestSubscription } from '../support/clients.js'
import { query } from '../support/graphql-request.js'
import { createLog, type TestLog } from '../support/log.js'
import { openConnection } from '../support/raw.js'
import { CLI, createCommands } from '../support/running.js'
import { waitUntil } from '../support/wait.js'

const CHANGES = 'subscription { numbersChanged { row { id } } }'
const PER_TRANSPORT = 10

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

async function createNumbers(): Promise<TestLog> {
  const log = await createLog()
  cleanUps.push(() => log.close())
  await log.query('create table numbers (id int primary key)')
  await log.watch('numbers')
  return log
}

async function start(log: TestLog, options: ServerOptions = {}): Promise<ListenqlServer> {
  const server = await createServer({
    databaseUrl: log.database.url,
    port: 0,
    logLevel: 'silent',
    catalogInterval: 50,
    shutdownTimeout: 30_000,
    ...options,
  })
  cleanUps.push(() => server.close())
  await waitUntil(
    () => query(server.url, '{ numbers { rows { id } } }').catch(() => undefined),
    'the table in the schema',
  )
  return server
}

const ready = async (url: string) => {
  const response = await fetch(`${url}/readyz`)
  return { status: response.status, body: await response.json() }
}

/** A client that resumes at another server when its stream ends. */
interface Follower {
  readonly ids: number[]
  /** How its stream from the first server ended. */
  readonly ended: Promise<string>
}

async function follow(
  subscribe: (typeof GRAPHQL_TRANSPORTS)[string],
  from: string,
  then: string,
): Promise<Follower> {
  const ids: number[] = []
  const collect = ({ results }: TestSubscription) => {
    for (const result of results.drain())
      ids.push((result as { data: { numbersChanged: { row: { id: number } } } }).data.numbersChanged.row.id)
  }
  let current = await subscribe(from, CHANGES)
  const timer = setInterval(() => collect(current), 5)
  cleanUps.push(() => {
    clearInterval(timer)
    return current.close()
  })
  const ended = current.ended.then(async how => {
    collect(current)
    current = await subscribe(then, CHANGES, {}, { after: current.position?.() ?? 'none' })
    return how
  })
  return { ids, ended }
}

describe('a server with --drain', () => {
  it('ends the connections of 50 clients over every transport one after the other, and no event is lost', async () => {
    const log = await createNumbers()
    let turn = 0
    const turns = setInterval(() => turn++, 0)
    cleanUps.push(() => clearInterval(turns))
    const joined: string[] = []
    const left: { remote: string; turn: number }[] = []
    const observe = (observation: Observation) => {
      if (observation.type === 'subscriber.joined') joined.push(observation.remote)
      if (observation.type === 'subscriber.left') left.push({ remote: observation.remote, turn })
    }
    const first = await start(log, { drain: 3000, observe })
    const second = await start(log)

    const followers: Follower[] = []
    const listeners: TestSubscription[] = []
    for (let n = 0; n < PER_TRANSPORT; n++) {
      for (const subscribe of Object.values(GRAPHQL_TRANSPORTS))
        followers.push(await follow(subscribe, first.url, second.url))
      listeners.push(await overListen(first.url, 'numbers'))
    }
    let written = 0
    const write = () => log.query('insert into numbers values ($1)', [++written])
    await write()
    await waitUntil(() => followers.every(({ ids }) => ids.length === 1), 'the first change')

    let isOver = false
    const closed = first.close().then(() => (isOver = true))
    expect(await ready(first.url)).toMatchObject({ status: 503, body: { status: 'draining' } })
    expect((await fetch(`${first.url}/healthz`)).status).toBe(200)
    while (!isOver) await write()
    await closed
    const ends = await Promise.all(followers.map(({ ended }) => ended))
    await write()

    const all = Array.from({ length: written }, (_, n) => n + 1)
    await waitUntil(() => followers.every(({ ids }) => ids.includes(written)), 'the last change')
    for (const { ids } of followers) expect(ids).toEqual(all)
    expect(new Set(ends)).toEqual(new Set(['1001', 'dropped', 'complete']))
    expect(await Promise.all(listeners.map(({ ended }) => ended))).toEqual(listeners.map(() => '1001'))
    // In the order of the connections, and hardly any two of them at once.
    expect(left.map(({ remote }) => remote)).toEqual(joined)
    expect(left).toHaveLength(5 * PER_TRANSPORT)
    expect(new Set(left.map(({ turn }) => turn)).size).toBeGreaterThan(PER_TRANSPORT)
  })

  it('serves clients that come while it drains, and keeps no connection for their next request', async () => {
    const log = await createNumbers()
    const server = await start(log, { drain: 3000 })
    const early = await openConnection(server.url)
    const request = 'GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n'
    early.socket.write(request)
    await early.until('"ready"')

    const parts = await openConnection(server.url)
    const body = JSON.stringify({ query: CHANGES })
    parts.socket.write(
      `POST /graphql HTTP/1.1\r\nHost: localhost\r\nAccept: multipart/mixed;subscriptionSpec=1.0\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    )
    await parts.until('--graphql')

    const closed = server.close()
    const late = await GRAPHQL_TRANSPORTS['graphql-ws']!(server.url, CHANGES)
    await log.query('insert into numbers values (1)')
    expect(await late.results.next('a change')).toMatchObject({
      data: { numbersChanged: { row: { id: 1 } } },
    })
    expect(await query(server.url, '{ numbers { rows { id } } }')).toEqual({ numbers: { rows: [{ id: 1 }] } })
    early.socket.write(request)
    const text = await early.closed
    expect(text.slice(text.lastIndexOf('HTTP/1.1'))).toMatch(/connection: close\r\n.*"status":"draining"/is)

    // A client that kept its connection for the next request would come back to this server.
    expect(await Promise.race([parts.closed, late.ended])).toContain('SERVER_STOPPING')
    expect(await late.ended).toBe('1001')
    await closed
    await expect(openConnection(server.url)).rejects.toThrow('ECONNREFUSED')
  })

  it('says what it does, and that it is stuck if the loop of the event log makes no step', async () => {
    const log = await createNumbers()
    const server = await start(log, { drain: 100 })
    expect(server.status()).toEqual({ status: 'ready', database: 'connected', connections: 0, isAlive: true })
    const { now } = performance
    const hour = vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + 3_600_000)
    const stuck = server.status() // in the same turn, before the loop moves
    hour.mockRestore()
    expect(stuck).toMatchObject({ status: 'ready', isAlive: false })
    const closed = server.close()
    expect(server.status().status).toBe('draining')
    await closed
    expect(server.status().status).toBe('stopping')
  })

  it('ends at once on a second signal', async () => {
    const log = await createNumbers()
    const commands = createCommands()
    cleanUps.push(() => commands.endAll())
    const server = await commands.serve(
      ...['--database-url', log.database.url, '--drain', '10m', '--shutdown-timeout', '11m'],
    )
    const client = await overListen(server.url, 'numbers')
    server.child.kill('SIGTERM')
    await waitUntil(
      () => server.err().includes('SIGTERM: ending streams over 10m, and stopping.'),
      'the drain',
    )
    expect(await ready(server.url)).toMatchObject({ status: 503, body: { status: 'draining' } })
    const impatience = setInterval(() => server.child.kill('SIGTERM'), 50)
    expect(await server.end).toBe(143)
    clearInterval(impatience)
    expect(await client.ended).toBe('1006')
  })

  it('refuses a drain that leaves no time to stop', async () => {
    const commands = createCommands()
    const server = commands.spawn(process.execPath, [CLI, '--drain', '10s'])
    expect(await server.end).toBe(2)
    expect(server.err()).toBe(
      'listenql: --drain is 10s, which leaves no time to stop within --shutdown-timeout (10s): make --shutdown-timeout longer\n',
    )
    await expect(createServer({ drain: 5000, shutdownTimeout: 4000 })).rejects.toThrow(
      'the option drain is 5s, which leaves no time to stop',
    )
  })
})
