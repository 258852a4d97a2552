import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createServer, type ListenqlServer } from '../../src/index.js'
import { GRAPHQL_TRANSPORTS, overGraphqlWs, overSse, type TestSubscription } from '../support/clients.js'
import { codeOf } from '../support/graphql-request.js'
import { createLog, type TestLog } from '../support/log.js'

/** In ms. Not shorter: a WebSocket client has to answer a ping before the next one, and on a busy machine loopback takes its time. */
const KEEP_ALIVE = 1000

let log: TestLog
let server: ListenqlServer
beforeAll(async () => {
  log = await createLog()
  server = await createServer({
    databaseUrl: log.database.url,
    port: 0,
    logLevel: 'silent',
    keepAlive: KEEP_ALIVE,
  })
})
afterAll(async () => {
  await server.close()
  await log.close()
})

const CHANNEL = `subscription ($name: String!, $after: String) {
  channel(name: $name, after: $after) { payload cursor gap }
}`

interface Event {
  readonly payload: string | null
  readonly cursor: string | null
  readonly gap: boolean
}

function eventOf(result: Record<string, unknown>): Event {
  if (!('data' in result) || !result.data) throw new Error(`no data: ${JSON.stringify(result)}`)
  return (result.data as { channel: Event }).channel
}

const publish = (channel: string, payload: string) =>
  log.query('select listenql.publish($1, $2::text)', [channel, payload])

/** Events up to one that was just published, without plain notifications, which Postgres does not keep. */
async function untilMark(subscription: TestSubscription, channel: string): Promise<Event[]> {
  const mark = `mark ${Math.random()}`
  await publish(channel, mark)
  const events: Event[] = []
  for (;;) {
    const event = eventOf(await subscription.results.next('the mark'))
    if (event.payload === mark) return events
    events.push(event)
  }
}

describe.each(Object.entries(GRAPHQL_TRANSPORTS))('%s', (transport, subscribe) => {
  const name = `resume ${transport}`

  it('delivers published events of any size, with the cursor in the result and in its extensions', async () => {
    const subscription = await subscribe(server.url, CHANNEL, { name })
    const large = 'x'.repeat(100_000)
    await publish(name, large)
    const result = await subscription.results.next()
    expect(eventOf(result)).toMatchObject({ payload: large, gap: false, cursor: expect.any(String) })
    expect(result.extensions).toEqual({ cursor: eventOf(result).cursor })
    await subscription.close()
  })

  it.each(['argument', 'extensions'])(
    'resumes after a cursor given as %s, with one gap at the seam',
    async how => {
      const first = await subscribe(server.url, CHANNEL, { name })
      for (const i of [1, 2, 3, 4, 5]) await publish(name, `${how} ${i}`)
      const seen = eventOf((await first.results.take(2))[1] ?? {})
      await first.close()
      const after = seen.cursor ?? ''
      const second = await (how === 'argument'
        ? subscribe(server.url, CHANNEL, { name, after })
        : // It takes precedence over the argument.
          subscribe(server.url, CHANNEL, { name, after: 'nonsense' }, { after }))
      await publish(name, `${how} 6`)
      const events = await untilMark(second, name)
      // An event that is published during catch-up may come from the log, before the seam.
      if (!events.some(event => event.gap)) events.push(eventOf(await second.results.next('the gap')))
      expect(events.filter(event => event.gap)).toHaveLength(1)
      expect(events.filter(event => !event.gap).map(event => event.payload)).toEqual(
        [3, 4, 5, 6].map(i => `${how} ${i}`),
      )
      await second.close()
    },
  )

  it.each([
    ['a word', 'nonsense'],
    ['empty', ''],
    ['of a future version', 'AgID'],
    ['long', 'x'.repeat(5000)],
  ])('refuses an invalid cursor: %s', async (_what, after) => {
    const subscription = await subscribe(server.url, CHANNEL, { name, after })
    expect(codeOf(await subscription.results.next())).toBe('CURSOR_INVALID')
    await subscription.close()
  })

  it('refuses a cursor that is older than the retained history', async () => {
    const subscription = await subscribe(server.url, CHANNEL, { name })
    await publish(name, 'old')
    const { cursor } = eventOf(await subscription.results.next())
    await subscription.close()
    for (let i = 0; i < 6; i++) {
      await publish(name, `newer ${i}`)
      await log.query(`select * from listenql.rotate('0 s', 1)`)
    }
    const second = await subscribe(server.url, CHANNEL, { name, after: cursor ?? '' })
    expect(codeOf(await second.results.next())).toBe('CURSOR_EXPIRED')
    await second.close()
    // The server's own position may have expired too: subscribers of the next test must not get that gap.
    const third = await subscribe(server.url, CHANNEL, { name })
    do await publish(name, 'caught up')
    while (eventOf(await third.results.next()).gap)
    await third.close()
  })
})

it('an SSE frame has its position as id, a plain notification has none, and Last-Event-ID resumes', async () => {
  const subscription = await overSse('GET')(server.url, CHANNEL, { name: 'ids' })
  expect(subscription.position?.()).toEqual(expect.any(String)) // at acceptance
  await publish('ids', 'one')
  const { cursor } = eventOf(await subscription.results.next())
  expect(subscription.position?.()).toBe(cursor)
  await log.query(`select pg_notify('ids', 'plain')`)
  expect(eventOf(await subscription.results.next())).toEqual({ payload: 'plain', cursor: null, gap: false })
  await subscription.close()
  await publish('ids', 'two')
  const resumed = await overSse('GET')(
    server.url,
    CHANNEL,
    { name: 'ids', after: 'nonsense' },
    { after: 'nonsense', lastEventId: cursor ?? '' },
  )
  const events = await untilMark(resumed, 'ids')
  expect(events.filter(event => !event.gap).map(event => event.payload)).toEqual(['two'])
  await resumed.close()
})

it('an SSE frame that rejects a cursor makes the browser forget it', async () => {
  const subscription = await overSse('GET')(server.url, CHANNEL, { name: 'ids' }, { lastEventId: 'nonsense' })
  expect(codeOf(await subscription.results.next())).toBe('CURSOR_INVALID')
  expect(subscription.position?.()).toBe('')
  expect(await subscription.ended).toBe('complete')
})

it.each([
  ['graphql-ws', overGraphqlWs],
  ['SSE', overSse('POST')],
] as const)('a quiet subscription receives positions with every keep-alive: %s', async (_name, subscribe) => {
  const subscription = await subscribe(server.url, CHANNEL, { name: 'quiet' })
  const first = subscription.position?.()
  await publish('busy', 'elsewhere')
  await expect.poll(() => subscription.position?.()).not.toBe(first)
  const later = subscription.position?.() ?? ''
  await subscription.close()
  await publish('quiet', 'missed')
  const resumed = await subscribe(server.url, CHANNEL, { name: 'quiet' }, { after: later })
  // The subscription may be live already when the seam is reached.
  const events = await untilMark(resumed, 'quiet')
  expect(events.filter(event => !event.gap).map(event => event.payload)).toEqual(['missed'])
  await resumed.close()
})
