import { afterEach, describe, expect, it } from 'vitest'
import { statusCommand } from '../../src/commands/status.js'
import { createServer, type ListenqlServer, type ServerOptions } from '../../src/index.js'
import { connectionOptions } from '../../src/postgres/conninfo.js'
import { createLogObserver } from '../../src/telemetry/log-observations.js'
import type { Logger } from '../../src/telemetry/logger.js'
import { GRAPHQL_TRANSPORTS, overSse } from '../support/clients.js'
import { commandStreams } from '../support/command.js'
import { breakLog } from '../support/faulty-log.js'
import { codeOf } from '../support/graphql-request.js'
import { createLog, type TestLog } from '../support/log.js'
import { createObserved, type Observed } from '../support/observed.js'
import { SECRET } from '../support/tokens.js'
import { waitUntil } from '../support/wait.js'

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

async function prepare(): Promise<TestLog> {
  const log = await createLog()
  cleanUps.push(() => log.close())
  await log.query('create table notes (id int primary key, v text); create table others (id int primary key)')
  await log.watch('notes', 'others')
  return log
}

interface Started {
  readonly server: ListenqlServer
  readonly observed: Observed
  /** Errors and warnings that the server has logged. */
  readonly lines: string[]
}

async function start(log: TestLog, options: ServerOptions = {}): Promise<Started> {
  const observed = createObserved()
  const lines: string[] = []
  const silent = () => undefined
  const say = (first: unknown, message = first) => void lines.push(String(message))
  const write = createLogObserver({ debug: silent, info: silent, error: say, warn: say } as unknown as Logger)
  const server = await createServer({
    databaseUrl: log.database.url,
    port: 0,
    logLevel: 'silent',
    reconnectMax: 50,
    observe(observation) {
      observed.observe(observation)
      write(observation)
    },
    ...options,
  })
  cleanUps.push(() => server.close())
  return { server, observed, lines }
}

async function readiness({ url }: ListenqlServer): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`${url}/readyz`)
  return { status: response.status, body: await response.json() }
}

async function warningsOf({ database }: TestLog): Promise<string[]> {
  const io = commandStreams()
  await statusCommand(
    { config: connectionOptions(database.url), serverLogin: undefined },
    { retention: 86_400_000, maxLogSize: Number.POSITIVE_INFINITY },
    { json: true },
    io,
  )
  return (JSON.parse(io.out()) as { warnings: string[] }).warnings
}

const OTHERS = 'subscription { othersChanged { row { id } } }'
const otherRow = (id: number) => ({ data: { othersChanged: { row: { id } } } })
const notReady = [{ part: 'log', reason: 'the event log cannot be read beyond one place' }]
const DISK = 'could not read block 7: Input/output error'

describe('a log that cannot be read any further', () => {
  const atNotes = {
    event: `d.topic = (select oid::text from pg_class where relname = 'notes')`,
    statement: `~ 'old'`,
    code: '58030',
    message: DISK,
  }

  it('appears in /readyz, status and the server log with the table and the reason, and in none of them once reading continues', async () => {
    const log = await prepare()
    const { server, observed, lines } = await start(log)
    const subscriptions = await Promise.all(
      Object.values(GRAPHQL_TRANSPORTS).map(subscribe => subscribe(server.url, OTHERS)),
    )
    const mend = await breakLog(log, atNotes)
    await log.query(`begin; insert into others values (1); insert into notes values (1, 'x'); commit`)
    await log.query('insert into others values (2)')
    await observed.until('log.stalled')
    for (const { results } of subscriptions) expect(await results.next()).toMatchObject(otherRow(1))
    const { place, message } = observed.all('log.stalled')[0]!
    expect(place).toMatch(/^batch \d+, transaction 1, event \d+, before an event of table notes$/)
    expect(message).toBe(DISK)
    expect(await readiness(server)).toEqual({
      status: 503,
      body: { status: 'not ready', database: 'connected', log: 'stalled', place, reason: DISK, notReady },
    })
    await observed.until('log.lost', {}, 8) // the read is retried again and again, but reported once
    const said = lines.filter(line => line.includes('cannot be read beyond'))
    expect(said).toEqual([expect.stringContaining(place)])
    expect(said[0]).toContain(DISK)
    const warnings = await waitUntil(async () => {
      const all = await warningsOf(log)
      return all.some(line => line.includes('the log beyond')) ? all : undefined
    }, 'status to say so')
    expect(warnings).toEqual([expect.stringContaining(`cannot read the log beyond ${place}`)])
    expect(warnings[0]).toContain(DISK)

    await mend()
    await observed.until('log.recovered')
    await waitUntil(async () => (await readiness(server)).status === 200, 'readiness')
    for (const { results } of subscriptions) {
      expect(await results.next()).toMatchObject(otherRow(2))
    }
    await waitUntil(async () => (await warningsOf(log)).length === 0, 'status to forget it')
    for (const subscription of subscriptions) await subscription.close()
  })

  it('is reported to clients without position and reason if viewers must sign in', async () => {
    const log = await prepare()
    const { server, observed } = await start(log, { jwtSecret: SECRET })
    await breakLog(log, atNotes)
    await log.query(`insert into notes values (1, 'x')`)
    await observed.until('log.stalled')
    expect(await readiness(server)).toEqual({
      status: 503,
      body: { status: 'not ready', database: 'connected', log: 'stalled', notReady },
    })
  })

  it('is not reported while the database is down', async () => {
    const log = await prepare()
    const { server, observed } = await start(log)
    await log.database.query(`alter role ${log.database.name} connection limit 0`)
    const end = `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${log.database.name}'
      and application_name like 'listenql%'`
    await log.database.query(end)
    await observed.until('log.lost', {}, 6)
    expect(observed.all('log.stalled')).toEqual([])
    expect((await readiness(server)).body).not.toHaveProperty('log')
    await log.database.query(`alter role ${log.database.name} connection limit -1`)
    await waitUntil(async () => (await readiness(server)).status === 200, 'readiness')
  })
})

describe('an event whose images Postgres cannot read', () => {
  const damaged = {
    event: `d.new like '%damaged%'`,
    statement: `~ 'as large|convert_to.new'`,
    code: 'XX001',
    message: 'missing chunk number 0 for toast value 4711',
  }

  it('ends the history of its table, with the reason in the server log, and no other history', async () => {
    const log = await prepare()
    const { server, observed, lines } = await start(log)
    const NOTES = 'subscription ($after: String) { notesChanged(after: $after) { row { id } } }'
    const notes = await Promise.all(
      Object.values(GRAPHQL_TRANSPORTS).map(subscribe => subscribe(server.url, NOTES)),
    )
    const others = await overSse('POST')(server.url, OTHERS)
    await log.query(`insert into notes values (1, 'x')`)
    const first: { extensions?: { cursor?: string } }[] = []
    for (const { results } of notes) first.push(await results.next())
    await breakLog(log, damaged)
    await log.query(`begin; insert into others values (1); insert into notes values (2, 'damaged');
      insert into others values (2); commit`)
    expect(await others.results.take(2)).toMatchObject([otherRow(1), otherRow(2)])
    for (const { results } of notes) expect(codeOf(await results.next())).toBe('CURSOR_EXPIRED')
    const after = first[0]?.extensions?.cursor as string
    const again = await overSse('POST')(server.url, NOTES, { after })
    expect(codeOf(await again.results.next('the answer to the old cursor'))).toBe('CURSOR_EXPIRED')
    await observed.until('event.unreadable', { topic: 'table notes', columns: undefined })
    expect(lines.filter(line => line.includes('table notes'))).toEqual([
      expect.stringContaining(`cannot be read: ${damaged.message}`),
    ])
    expect((await readiness(server)).status).toBe(200)
    expect(await warningsOf(log)).toEqual([expect.stringContaining(damaged.message)])
    const anew = await overSse('POST')(server.url, NOTES)
    await log.query(`insert into notes values (3, 'y')`)
    expect(await anew.results.next()).toMatchObject({ data: { notesChanged: { row: { id: 3 } } } })
    for (const subscription of [...notes, others, again, anew]) await subscription.close()
  })

  it('is an error in its place if it belongs to a channel', async () => {
    const log = await prepare()
    const { server } = await start(log)
    const subscription = await overSse('POST')(
      server.url,
      'subscription { channel(name: "news") { payload } }',
    )
    await breakLog(log, damaged)
    await log.query(
      `select listenql.publish('news', '1'), listenql.publish('news', 'damaged'), listenql.publish('news', '2')`,
    )
    const [before, lost, next] = await subscription.results.take(3)
    expect(before).toMatchObject({ data: { channel: { payload: '1' } } })
    expect(lost).toMatchObject({ data: { channel: { payload: null } } })
    expect(codeOf(lost as Record<string, unknown>)).toBe('VALUE_NOT_SHOWN')
    expect(next).toMatchObject({ data: { channel: { payload: '2' } } })
    await subscription.close()
  })
})
