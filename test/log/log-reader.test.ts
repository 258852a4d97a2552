import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createLogReader, type LogReader, type LogReaderOptions } from '../../src/log/log-reader.js'
import { endOfBatch, type Position } from '../../src/log/position.js'
import { connectionOptions } from '../../src/postgres/conninfo.js'
import { startCuttingProxy } from '../support/cutting-proxy.js'
import { createLog, type TestLog } from '../support/log.js'
import { createObserved } from '../support/observed.js'

let log: TestLog
const readers: LogReader[] = []
const { signal } = new AbortController()
beforeAll(async () => {
  log = await createLog()
})
afterEach(async () => {
  for (const reader of readers.splice(0)) await reader.close()
})
afterAll(() => log.close())

function createTested(options: Partial<LogReaderOptions> = {}): LogReader {
  const reader = createLogReader({
    config: connectionOptions(log.database.url),
    connectTimeout: 5000,
    queryTimeout: 5000,
    reconnectMax: 20,
    live: () => ({ position: undefined, history: 0 }),
    observe: () => undefined,
    ...options,
  })
  readers.push(reader)
  return reader
}

async function newest(): Promise<Position> {
  const { n, token } = await log.newest()
  return endOfBatch({ n, token })
}
/** Publishes an event and puts it into the ledger. */
async function publish(...payloads: string[]): Promise<void> {
  for (const payload of payloads) await log.query('select listenql.publish($1, $2)', ['news', payload])
  await log.fresh()
}

it('the reader returns the events after a position in order, and the position to continue from', async () => {
  const reader = createTested()
  const start = await newest()
  await publish('1', '2', '3')
  const page = await reader.read(start, signal)
  expect(page.events.map(event => event.new)).toEqual(['1', '2', '3'])
  const [first] = page.events
  if (!first) throw new Error('there are three')
  expect((await reader.read(first.position, signal)).events.map(event => event.new)).toEqual(['2', '3'])
  expect(await reader.read(page.position, signal)).toMatchObject({ events: [], isLast: true })
})

describe('many clients that reconnect at once', () => {
  it('share one read if they resume from the same position', async () => {
    const reader = createTested()
    const start = await newest()
    await publish('1')
    const pages = await Promise.all(Array.from({ length: 20 }, () => reader.read(start, signal)))
    expect(new Set(pages).size).toBe(1)
  })

  it('share no read with clients that resumed in the former history', async () => {
    let history = 0
    const reader = createTested({ live: () => ({ position: undefined, history }) })
    const start = await newest()
    await publish('1')
    const former = reader.read(start, signal)
    history++
    const present = reader.read(start, signal)
    expect(await present).not.toBe(await former)
  })

  it('continue to read when one of them leaves', async () => {
    const reader = createTested()
    const start = await newest()
    await publish('1')
    const leaving = new AbortController()
    const left = reader.read(start, leaving.signal)
    const other = reader.read(start, signal)
    leaving.abort(new Error('gone'))
    await expect(left).rejects.toThrow('gone')
    expect((await other).events.length).toBe(1)
  })
})

describe('an empty page', () => {
  /** How many batches past the end of the log an empty page ends, given the position of live events. */
  async function readAtEnd(live: (end: Position) => ReturnType<LogReaderOptions['live']>): Promise<number> {
    const end = await newest()
    const page = await createTested({ live: () => live(end) }).read(end, signal)
    expect([page.events, page.isLast]).toEqual([[], true])
    return page.position.n - end.n
  }

  it('ends at the position of live events, because those were in the ledger', async () => {
    expect(await readAtEnd(end => ({ position: { ...end, n: end.n + 5 }, history: 0 }))).toBe(5)
  })

  it('ends where it was read if live events are not that far, or if their history has ended meanwhile', async () => {
    expect(await readAtEnd(end => ({ position: { ...end, n: end.n - 1 }, history: 0 }))).toBe(0)
    let history = 0
    expect(await readAtEnd(end => ({ position: { ...end, n: end.n + 5 }, history: history++ }))).toBe(0)
  })
})

describe('a read that fails', () => {
  it('waits while the database is down, reports that, and continues when the database is up again', async () => {
    const observed = createObserved()
    const start = await newest()
    await publish('1')
    const url = new URL(log.database.url)
    const line = await startCuttingProxy(`http://127.0.0.1:${url.port}`)
    url.port = new URL(line.url).port
    await line.cut()
    const reader = createTested({ config: connectionOptions(url.href), observe: observed.observe })
    const page = reader.read(start, signal)
    await observed.until('log.lost')
    await line.mend()
    expect((await page).events.length).toBe(1)
    await reader.close()
    await line.close()
  })

  it('ends when its client leaves or the reader is closed', async () => {
    const reader = createTested({ config: { host: '127.0.0.1', port: 1 } })
    const leaving = new AbortController()
    const left = reader.read(endOfBatch({ n: 0, token: 0 }), leaving.signal)
    leaving.abort(new Error('gone'))
    await expect(left).rejects.toThrow('gone')
    const closed = reader.read(endOfBatch({ n: 1, token: 0 }), signal)
    await Promise.all([reader.close(), expect(closed).rejects.toThrow()])
  })

  it('is refused immediately if the database is up and refuses', async () => {
    const start = await newest()
    await log.query('alter function listenql.read rename to hidden')
    try {
      await expect(createTested().read(start, signal)).rejects.toMatchObject({
        code: 'DATABASE_FAILED',
        message: expect.stringContaining('the event log cannot be read'),
      })
    } finally {
      await log.query('alter function listenql.hidden rename to read')
    }
  })

  it('is refused for a position that is not of this log', async () => {
    const { n, token } = await log.newest()
    const foreign = endOfBatch({ n, token: token + 1 })
    await expect(createTested().read(foreign, signal)).rejects.toMatchObject({
      code: expect.stringMatching(/^CURSOR_/),
    })
  })
})
