import { fetchEventSource } from '@microsoft/fetch-event-source'
import { EventSourcePolyfill } from 'event-source-polyfill'
import { EventSource as NodeEventSource } from 'eventsource'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { createServer, type ListenqlServer } from '../../src/index.js'
import { overSse, type TestSubscription } from '../support/clients.js'
import { startCuttingProxy } from '../support/cutting-proxy.js'
import { pretendPage } from '../support/dom.js'
import { query } from '../support/graphql-request.js'
import { Inbox } from '../support/inbox.js'
import { createLog, type TestLog } from '../support/log.js'
import { createObserved } from '../support/observed.js'
import { openConnection, type RawConnection } from '../support/raw.js'

let log: TestLog
let server: ListenqlServer
let live: TestSubscription
const observed = createObserved()
const cleanUps: (() => unknown)[] = []

beforeAll(async () => {
  pretendPage()
  vi.spyOn(console, 'error').mockReturnValue() // a polyfill logs there that its connection was lost
  log = await createLog()
  await log.query('create table people (pk int primary key)')
  await log.watch('people')
  server = await createServer({
    databaseUrl: log.database.url,
    port: 0,
    logLevel: 'silent',
    catalogInterval: 20,
    observe: observed.observe,
  })
  live = await overSse('POST')(server.url, QUERY)
})
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})
afterAll(async () => {
  live?.close()
  await server?.close()
  await log?.close()
})

let last = 0
/**
 * Inserts a row, which is in the past when this resolves: a subscription without a position does not get it.
 */
async function insert(): Promise<number> {
  await log.query('insert into people values ($1)', [++last])
  expect(await live.results.next()).toMatchObject({ data: { peopleChanged: { row: { pk: last } } } })
  return last
}
async function cursor(): Promise<string> {
  const { people } = await query(server.url, '{ people { cursor } }')
  return (people as { cursor: string }).cursor
}

const QUERY = 'subscription { peopleChanged { row { pk } } }'
const WITH_ARGUMENT = 'subscription ($after: String) { peopleChanged(after: $after) { row { pk } } }'

interface Places {
  readonly header?: string
  /** Parameters of the URL, as they are. */
  readonly parameters?: readonly (readonly [name: string, value: string])[]
  readonly extension?: unknown
  readonly argument?: string
}

/** Subscribes with positions in any places. */
async function ask(
  method: 'GET' | 'POST',
  { header, parameters = [], extension, argument }: Places,
): Promise<RawConnection> {
  const params: Record<string, unknown> = { query: argument === undefined ? QUERY : WITH_ARGUMENT }
  if (argument !== undefined) params.variables = { after: argument }
  if (extension !== undefined) params.extensions = { after: extension }
  const search = new URLSearchParams(parameters.map(([name, value]) => [name, value]))
  if (method === 'GET')
    for (const [name, value] of Object.entries(params))
      search.set(name, typeof value === 'string' ? value : JSON.stringify(value))
  const body = method === 'POST' ? JSON.stringify(params) : ''
  const connection = await openConnection(server.url)
  cleanUps.push(() => connection.socket.destroy())
  connection.socket.write(
    [
      `${method} /graphql?${search} HTTP/1.1`,
      'Host: localhost',
      'Accept: text/event-stream',
      ...(header === undefined ? [] : [`Last-Event-ID: ${header}`]),
      ...(method === 'POST' ? ['Content-Type: application/json', `Content-Length: ${body.length}`] : []),
      '',
      body,
    ].join('\r\n'),
  )
  return connection
}

describe.each(['GET', 'POST'] as const)('a position in a %s', method => {
  /** The first row that arrives. */
  const first = async (places: Places) => {
    const connection = await ask(method, places)
    const text = await connection.until('"pk":')
    return Number(/"pk":(\d+)/.exec(text)?.[1])
  }

  it.each<[string, (cursor: string) => Places]>([
    ['the header', header => ({ header })],
    ['lastEventId: event-source-polyfill', at => ({ parameters: [['lastEventId', at]] })],
    ['lastEventID: Mercure', at => ({ parameters: [['lastEventID', at]] })],
    ['Last-Event-ID', at => ({ parameters: [['Last-Event-ID', at]] })],
    ['last_event_id', at => ({ parameters: [['last_event_id', at]] })],
    ['evs_last_event_id: eventsource-polyfill', at => ({ parameters: [['evs_last_event_id', at]] })],
    ['extensions.after', extension => ({ extension })],
    ['the argument', argument => ({ argument })],
    ['a parameter if the header is empty', at => ({ header: '', parameters: [['lastEventId', at]] })],
    [
      'an extension if the others are empty',
      at => ({ header: '', parameters: [['lastEventId', '']], extension: at }),
    ],
    ['the argument if the extension is null', at => ({ extension: null, argument: at })],
  ])('is taken from %s', async (_what, places) => {
    const at = await cursor()
    const next = await insert()
    expect(await first(places(at))).toBe(next)
  })

  it('is the first one present of: header, last parameter, extension, argument', async () => {
    const cursors: string[] = []
    for (let i = 0; i < 5; i++) {
      cursors.push(await cursor())
      await insert()
    }
    const [one, two, three, four, five] = cursors as [string, string, string, string, string]
    const base = last - 4 // the row after `one`
    const parameters = (...values: string[]) => values.map(value => ['lastEventId', value] as const)
    expect(await first({ header: five, parameters: parameters(one), extension: two, argument: three })).toBe(
      base + 4,
    )
    expect(await first({ parameters: parameters(one, four), extension: two, argument: three })).toBe(base + 3)
    expect(
      await first({
        parameters: [
          ['evs_last_event_id', four],
          ['lastEventId', three],
        ],
      }),
    ).toBe(base + 2)
    expect(await first({ parameters: parameters(three, ''), extension: one })).toBe(base + 2)
    expect(await first({ extension: two, argument: five })).toBe(base + 1)
  })

  it.each<[string, (cursor: string) => Places]>([
    ['the header', at => ({ header: 'no-cursor', parameters: [['lastEventId', at]], extension: at })],
    ['a parameter', at => ({ parameters: [['lastEventId', 'no cursor']], extension: at, argument: at })],
    ['an extension', at => ({ extension: 7, argument: at })],
    ['an empty extension', at => ({ extension: '', argument: at })],
  ])(
    'that is not a cursor is refused and forgotten, whatever other positions are given: %s',
    async (_what, places) => {
      const connection = await ask(method, places(await cursor()))
      const text = await connection.until('event: complete')
      expect(text).toContain('"code":"CURSOR_INVALID"')
      expect(text).toMatch(/^id:$/m)
    },
  )
})

interface Followed {
  readonly lines: Inbox<string>
  readonly url: string
}

/** Clients that replace an EventSource if a header has to be sent. */
const STAND_INS: Record<string, (followed: Followed) => () => void> = {
  'event-source-polyfill': ({ url, lines }) => {
    const source = new EventSourcePolyfill(`${url}/graphql?query=${encodeURIComponent(QUERY)}`, {
      headers: { authorization: 'Bearer x' },
    })
    source.addEventListener('next', event => lines.push(event.data))
    return () => source.close()
  },
  'eventsource of npm': ({ url, lines }) => {
    const source = new NodeEventSource(`${url}/graphql?query=${encodeURIComponent(QUERY)}`)
    source.addEventListener('next', ({ data }) => lines.push(data))
    return () => source.close()
  },
  '@microsoft/fetch-event-source, GET': ({ url, lines }) => {
    const left = new AbortController()
    void fetchEventSource(`${url}/graphql?query=${encodeURIComponent(QUERY)}`, {
      signal: left.signal,
      openWhenHidden: true,
      onmessage: ({ event, data }) => event === 'next' && lines.push(data),
    })
    return () => left.abort()
  },
  '@microsoft/fetch-event-source, POST': ({ url, lines }) => {
    const left = new AbortController()
    void fetchEventSource(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: QUERY }),
      signal: left.signal,
      openWhenHidden: true,
      onmessage: ({ event, data }) => event === 'next' && lines.push(data),
    })
    return () => left.abort()
  },
}

describe.each(Object.entries(STAND_INS))('%s', (_name, follow) => {
  it('resumes by itself at its position, even if no event has arrived before', async () => {
    const proxy = await startCuttingProxy(server.url)
    cleanUps.push(() => proxy.close())
    const lines = new Inbox<string>()
    const before = observed.all('subscriber.joined').length
    cleanUps.push(follow({ url: proxy.url, lines }))
    const acceptance = (times: number) => observed.until('subscriber.joined', {}, before + times)
    const expectRows = async (...rows: number[]) => {
      const results = await lines.take(rows.length)
      expect(results.map(line => JSON.parse(line).data.peopleChanged.row.pk)).toEqual(rows)
    }

    await acceptance(1)
    await proxy.until('id: ')
    await proxy.cut()
    const away = [await insert(), await insert()]
    await proxy.mend()
    await expectRows(...away)

    await expectRows(await insert())
    await proxy.cut()
    const again = await insert()
    await proxy.mend()
    await acceptance(3)
    await expectRows(again, await insert())
    expect(lines.drain()).toEqual([])
  })
})
