import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createRowFeed, type FeedStatus, type RowFeed } from '../../../src/client/index.js'
import { createScriptedClient, type ScriptedClient } from '../../support/scripted-rows.js'

const CHANGES =
  'subscription { peopleChanged(initial: true) { operation key { id } row { id } transaction } }'

interface Data {
  readonly peopleChanged: {
    readonly operation: string
    readonly key: { readonly id: number } | null
    readonly row: { readonly id: number } | null
    readonly transaction: string
  }
}
type Delivered = readonly ['rows' | 'changes' | 'status', ...unknown[]]

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** @param onDelivery called with each delivery, after it is recorded */
function follow(
  client: ScriptedClient,
  onDelivery: (delivered: Delivered, feed: () => RowFeed) => void = () => {},
) {
  const delivered: Delivered[] = []
  let feed: RowFeed | undefined
  const record = (one: Delivered) => {
    delivered.push(one)
    onDelivery(one, () => feed as RowFeed)
  }
  feed = createRowFeed<Data, Record<string, never>>(
    client,
    { changes: CHANGES },
    {
      rows: rows => record(['rows', rows.map(({ key }) => key?.id)]),
      changes: (changes, transaction) =>
        record(['changes', changes.map(({ operation, key }) => `${operation} ${key?.id}`), transaction]),
      status: ({ state, error }: FeedStatus) => record(['status', state, ...(error ? [error.code] : [])]),
    },
  )
  return { feed, delivered, drain: () => delivered.splice(0) }
}

/** Passes the silence after a transaction. */
const silence = () => vi.advanceTimersByTimeAsync(25)
/** Passes the pause before a retry. */
const pause = () => vi.advanceTimersByTimeAsync(12_000)

/** A feed that has delivered the rows 1 and 2. */
function live(onDelivery?: Parameters<typeof follow>[1]) {
  const client = createScriptedClient()
  const following = follow(client, onDelivery)
  client.last.sink.accepted()
  client.last.rows(1, 2)
  return { client, ...following }
}

it('delivers the rows as one batch, then each transaction as one when it ends', () => {
  const { client, delivered, feed } = live()
  expect(feed.status.state).toBe('live')
  client.last.change('INSERT', { key: { id: 3 }, transaction: '7' })
  client.last.change('DELETE', { key: { id: 1 }, transaction: '7' })
  client.last.change('TRUNCATE', { transaction: '8' })
  client.last.end()
  expect(delivered).toEqual([
    ['rows', [1, 2]],
    ['status', 'live'],
    ['changes', ['INSERT 3', 'DELETE 1'], '7'],
    ['changes', ['TRUNCATE undefined'], '8'],
  ])
})

it('after a lost connection, it is live as soon as the server has accepted it again', () => {
  const { client, drain } = live()
  drain()
  client.last.sink.interrupted()
  client.last.sink.interrupted()
  client.last.sink.accepted()
  expect(drain()).toEqual([
    ['status', 'offline'],
    ['status', 'live'],
  ])
  expect(client.subscriptions.length).toBe(1)
})

it('after a lost connection, a server that does not mark ends delays no change', async () => {
  const { client, drain } = live()
  client.last.end()
  client.last.change('INSERT', { key: { id: 3 }, transaction: '7' })
  client.last.sink.interrupted()
  client.last.sink.accepted()
  drain()
  client.last.change('INSERT', { key: { id: 4 }, transaction: '8' })
  await silence()
  expect(drain()).toEqual([
    ['changes', ['INSERT 3'], '7'],
    ['changes', ['INSERT 4'], '8'],
  ])
})

it('RESET ends an incomplete transaction, and then all rows are one batch', () => {
  const { client, drain } = live()
  drain()
  client.last.change('INSERT', { key: { id: 3 }, transaction: '7' })
  client.last.end()
  client.last.change('INSERT', { key: { id: 4 }, transaction: '8' })
  client.last.change('RESET')
  client.last.change('READ', { key: { id: 5 } })
  client.last.sink.interrupted() // the rows are incomplete: the server begins again
  client.last.sink.accepted()
  client.last.change('RESET')
  client.last.rows(6)
  expect(drain()).toEqual([
    ['changes', ['INSERT 3'], '7'],
    ['status', 'catching-up'],
    ['status', 'offline'],
    ['status', 'catching-up'],
    ['rows', [6]],
    ['status', 'live'],
  ])
})

describe('an error', () => {
  it.each([
    ['CURSOR_EXPIRED'],
    ['CURSOR_INVALID'],
    ['SCHEMA_CHANGED'],
    ['DATABASE_FAILED'],
    ['QUERY_TIMEOUT'],
    ['LIMIT_EXCEEDED', { limit: 'maxSubscriptions' }],
    ['EVENT_TOO_LARGE', {}, 'instead of a change'],
    ['VALUE_NOT_SHOWN', {}, 'instead of a change'],
  ] as readonly [string, Record<string, unknown>?, 'instead of a change'?][])(
    '%s makes it read again, and the rows stay until then',
    async (code, extensions, how) => {
      const { client, drain } = live()
      drain()
      client.last.change('INSERT', { key: { id: 3 }, transaction: '7' })
      client.last.end()
      client.last.change('INSERT', { key: { id: 4 }, transaction: '8' }) // incomplete, so that it never shows
      client.last.error(code, extensions, how)
      expect(drain()).toEqual([
        ['changes', ['INSERT 3'], '7'],
        ['status', 'offline', code],
      ])
      const [first] = client.subscriptions
      expect(first?.hasLeft).toBe(true)
      await pause()
      first?.change('INSERT', { key: { id: 9 }, transaction: '9' }) // too late
      first?.sink.complete()
      client.last.sink.accepted()
      client.last.rows(4)
      await silence()
      expect(drain()).toEqual([
        ['status', 'catching-up', code],
        ['rows', [4]],
        ['status', 'live'],
      ])
      expect(client.subscriptions.length).toBe(2)
    },
  )

  it.each([
    ['FORBIDDEN', {}],
    ['GRAPHQL_VALIDATION_FAILED', {}],
    ['FILTER_INVALID', {}],
    ['LIMIT_EXCEEDED', { limit: 'maxRows' }],
  ])('%s ends it until refetch', async (code, extensions) => {
    const { client, drain, feed } = live()
    drain()
    client.last.error(code, extensions)
    await pause()
    expect(drain()).toEqual([['status', 'failed', code]])
    expect(client.subscriptions.length).toBe(1)
    feed.refetch()
    client.last.rows(4)
    expect(drain()).toEqual([
      ['status', 'catching-up'],
      ['rows', [4]],
      ['status', 'live'],
    ])
  })

  it.each(['EVENT_TOO_LARGE', 'VALUE_NOT_SHOWN'])(
    '%s in place of a row ends it, since it would come again',
    async code => {
      const client = createScriptedClient()
      const { drain } = follow(client)
      client.last.error(code, {}, 'instead of a change')
      await pause()
      expect(drain()).toEqual([['status', 'failed', code]])
    },
  )

  it('of the connection ends it, with the close code', () => {
    const { client, feed } = live()
    client.last.sink.error({ code: 4403, reason: 'Forbidden' })
    expect(feed.status).toMatchObject({
      state: 'failed',
      error: { code: '4403', message: expect.stringContaining('4403 Forbidden'), errors: [] },
    })
  })

  it('in the key of a change makes it read again, since the change names no row', async () => {
    const { client, drain } = live()
    drain()
    client.last.sink.next({
      data: { peopleChanged: { operation: 'INSERT', key: { ids: [null] }, row: null, transaction: '7' } },
      errors: [
        { message: '', path: ['peopleChanged', 'key', 'ids', 0], extensions: { code: 'VALUE_NOT_SHOWN' } },
      ],
    })
    expect(drain()).toEqual([['status', 'offline', 'VALUE_NOT_SHOWN']])
    await pause()
    expect(client.subscriptions.length).toBe(2)
  })

  it.each(['rows', 'changes'])('that the listener throws for %s ends it', async when => {
    const { client, feed } = live(([type]) => {
      if (type === when) throw new Error('a fault of the application')
    })
    if (when === 'changes') client.last.change('INSERT', { key: { id: 3 }, transaction: '7' })
    await silence()
    expect(feed.status).toMatchObject({ state: 'failed', error: { message: 'a fault of the application' } })
    expect(client.subscriptions.every(({ hasLeft }) => hasLeft)).toBe(true)
  })

  it('that comes again and again is followed by longer pauses', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(1)
    const { client } = live()
    const counts: number[] = []
    for (let i = 0; i < 4; i++) {
      client.last.error('CURSOR_EXPIRED')
      await vi.advanceTimersByTimeAsync(2_200)
      counts.push(client.subscriptions.length)
      client.last.rows(1)
      if (i < 2) continue
      await vi.advanceTimersByTimeAsync(12_000)
    }
    vi.restoreAllMocks()
    expect(counts).toEqual([2, 3, 3, 4])
  })
})

describe('in the middle of anything, dispose ends every delivery', () => {
  it.each(['rows', 'changes', 'live', 'offline', 'catching-up'])('within the delivery of %s', async when => {
    const { client, drain } = live(([type, state], feed) => {
      if (type === when || state === when) feed().dispose()
    })
    client.last.change('INSERT', { key: { id: 3 }, transaction: '7' })
    client.last.end()
    client.last.change('RESET')
    client.last.rows(4)
    client.last.error('CURSOR_EXPIRED')
    await pause()
    const all = drain()
    const at = all.findIndex(([type, state]) => type === when || state === when)
    expect(at).toBeGreaterThanOrEqual(0)
    expect(all.slice(at + 1)).toEqual([['status', 'closed']])
    expect(client.subscriptions.every(({ hasLeft }) => hasLeft)).toBe(true)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('with half a transaction, and twice', async () => {
    const { client, feed, drain } = live()
    drain()
    client.last.change('INSERT', { key: { id: 3 }, transaction: '7' })
    feed.dispose()
    feed.dispose()
    await silence()
    expect(drain()).toEqual([['status', 'closed']])
  })
})

it('finds the field by itself, and passes document and variables', () => {
  const client = createScriptedClient()
  const delivered: unknown[] = []
  createRowFeed(
    client,
    { changes: CHANGES, variables: { a: 1 } },
    { rows: rows => delivered.push(rows), changes: () => {}, status: () => {} },
  )
  expect(client.last.payload).toEqual({
    query: CHANGES,
    variables: { a: 1 },
    extensions: { transactionEnds: true },
  })
  const change = { operation: 'READ', key: { a: 1 }, row: { b: 2 } }
  client.last.sink.next({ data: { __typename: 'Subscription', anything: change } })
  client.last.sink.next({ data: { __typename: 'Subscription', anything: { operation: 'READY' } } })
  expect(delivered).toEqual([[change]])
})

it('a document without `initial` is refused with an example', () => {
  const client = createScriptedClient()
  const listener = { rows() {}, changes() {}, status() {} }
  expect(() =>
    createRowFeed(client, { changes: 'subscription { peopleChanged { operation } }' }, listener),
  ).toThrow('peopleChanged(initial: true)')
})

it('`initial: false` by a variable ends with an error that names the remedy', () => {
  const client = createScriptedClient()
  const { feed } = follow(client)
  client.last.change('INSERT', { key: { id: 3 } })
  expect(feed.status.error?.message).toContain('subscribe with initial: true')
})
