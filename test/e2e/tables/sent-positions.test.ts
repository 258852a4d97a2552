import { type IncomingMessage, request } from 'node:http'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createServer, type ListenqlServer } from '../../../src/index.js'
import { comparePositions, type Position } from '../../../src/log/position.js'
import { cursorsOf } from '../../support/cursors.js'
import { query } from '../../support/graphql-request.js'
import { createLog, type TestLog } from '../../support/log.js'
import { waitUntil } from '../../support/wait.js'

let log: TestLog
let server: ListenqlServer
let cursors: Awaited<ReturnType<typeof cursorsOf>>
beforeAll(async () => {
  log = await createLog()
  cursors = await cursorsOf(log)
  server = await createServer({
    databaseUrl: log.database.url,
    port: 0,
    logLevel: 'silent',
    catalogInterval: 20,
    keepAlive: 1,
  })
  await log.query('create table people (pk bigint generated always as identity primary key, name text)')
  await log.watch('people')
  await waitUntil(async () => (await names()).includes('people'), 'the table in the schema')
})
afterAll(async () => {
  await server.close()
  await log.close()
})

async function names(): Promise<string[]> {
  const { watchedTables } = await query(server.url, '{ watchedTables { name } }')
  return (watchedTables as { name: string }[]).map(({ name }) => name)
}

/** Every position that an SSE stream sends, in order, and whether it belongs to an event. */
function positions(url: string, after: string | undefined) {
  const sent: { readonly position: Position; readonly isEvent: boolean }[] = []
  let last: string | undefined
  let frames = 0
  let events = 0
  let ended = false
  const asked = request(`${url}/graphql`, {
    method: 'POST',
    agent: false,
    headers: {
      accept: 'text/event-stream',
      'content-type': 'application/json',
      ...(after === undefined ? {} : { 'last-event-id': after }),
    },
  })
  asked.on('response', response => {
    let rest = ''
    response.setEncoding('utf8').on('data', chunk => {
      const blocks = (rest + chunk).split('\n\n')
      rest = blocks.pop() ?? ''
      for (const block of blocks) {
        const id = /^id: (.+)$/m.exec(block)?.[1]
        const isEvent = block.includes('\ndata: {"data"')
        if (!id) continue
        frames++
        if (id === last && !isEvent) continue // a keep-alive that says nothing new: most do
        sent.push({ position: cursors.decode(id), isEvent })
        last = id
        if (isEvent) events++
      }
    })
    response
      .on('error', () => undefined)
      .on('close', () => {
        ended = true
      })
  })
  asked.on('error', () => undefined)
  asked.end(JSON.stringify({ query: 'subscription { peopleChanged { key { pk } } }' }))
  return {
    sent,
    get ended() {
      return ended
    },
    /** The positions that arrived, including those that were sent before. */
    get frames() {
      return frames
    },
    get events() {
      return events
    },
    close: () => asked.destroy(),
  }
}

/** No event arrives at or before a position that was sent. */
function expectNeverAhead(sent: ReturnType<typeof positions>['sent']): void {
  const wrong = sent.filter(({ position, isEvent }, i) => {
    const before = sent[i - 1]
    if (!before) return false
    const order = comparePositions(position, before.position)
    return isEvent ? order <= 0 : order < 0
  })
  expect(wrong.map(({ position }) => position)).toEqual([])
}

/** Rows of one statement: more than a page of the log (2,000 events). */
const ROWS = 2500

it('the server sends no position ahead of the events that it has sent, whatever is altered, live and during catch-up', async () => {
  const start = cursors.encode(await log.newest())
  const live = positions(server.url, undefined)
  await waitUntil(() => live.sent.length > 0, 'acceptance')
  const streams = [live]
  let written = 0
  const insert = async (rows: number) => {
    await log.query(`insert into people (name) select repeat('x', 200) from generate_series(1, $1::int)`, [
      rows,
    ])
    written += rows
  }
  for (let round = 0; round < 3; round++) {
    await insert(ROWS)
    streams.push(positions(server.url, start), positions(server.url, undefined))
    await log.query(`alter table people add column extra${round} int not null default 1`)
    await insert(ROWS) // carries the next generation, at a position before the recorded beginning of its history
    streams.push(positions(server.url, undefined))
    await insert(1)
  }
  await waitUntil(() => live.events >= written, 'all events', 60_000)
  expect(live.events).toBe(written)
  for (const stream of streams) {
    expectNeverAhead(stream.sent)
    stream.close()
  }
}, 120_000)

it('a keep-alive for a client that has not read the end of a table yet does no harm', async () => {
  await log.query('create table doomed (name text)')
  await log.watch('doomed')
  await expect.poll(names).toContain('doomed')
  const asked = request(`${server.url}/graphql`, {
    method: 'POST',
    agent: false,
    headers: { accept: 'text/event-stream', 'content-type': 'application/json' },
  })
  const answered = new Promise<IncomingMessage>(resolve => asked.once('response', resolve))
  asked.end(JSON.stringify({ query: 'subscription { doomedChanged { row { name } } }' }))
  const response = await answered
  response.on('error', () => undefined).pause() // reads nothing
  const closed = new Promise(resolve => response.once('close', resolve))
  await log.query(`insert into doomed select repeat('x', 1000000) from generate_series(1, 12)`)
  const other = positions(server.url, undefined)
  await waitUntil(() => other.sent.length > 0, 'acceptance')
  await log.query(`select listenql.unwatch('doomed')`)
  await expect.poll(names).not.toContain('doomed')
  const before = other.frames
  await waitUntil(() => other.frames > before + 10, 'keep-alives, while the end waits')
  let text = ''
  response.setEncoding('utf8').on('data', chunk => {
    text = (text + chunk).slice(-10_000)
  })
  response.resume()
  await closed
  expect(text).toContain('SCHEMA_CHANGED')
  other.close()
})
