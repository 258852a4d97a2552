import { afterEach, beforeEach, expect, expectTypeOf, it, vi } from 'vitest'
import { type LiveRowsOptions, liveRows } from '../../../src/client/index.js'
import { keptPeople } from '../../support/documents.js'
import { createScriptedClient } from '../../support/scripted-rows.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const CHANGES =
  'subscription { peopleChanged(initial: true) { operation key { id } row { id } transaction } }'

interface Data {
  readonly peopleChanged: {
    readonly operation: string
    readonly key: { readonly id: number } | null
    readonly row: { readonly id: number; readonly name?: string } | null
  }
}

/** A store with the rows 1 and 2, and how often its listener was called. */
function open(options: Partial<LiveRowsOptions<Data, Record<string, unknown>>> = {}) {
  const client = createScriptedClient()
  const store = liveRows<Data>(client, { changes: CHANGES, ...options })
  const listener = vi.fn()
  const leave = store.subscribe(listener)
  client.last.sink.accepted()
  client.last.rows(1, 2)
  return { client, store, listener, leave, ids: () => store.getSnapshot().rows.map(({ id }) => id) }
}
const silence = () => vi.advanceTimersByTimeAsync(25)

it('subscribes with the first listener, and has one snapshot until something changes', () => {
  const client = createScriptedClient()
  const store = liveRows(client, { changes: CHANGES })
  const loading = store.getSnapshot()
  expect(loading).toMatchObject({ rows: [], state: 'loading', error: undefined })
  expect(client.subscriptions.length).toBe(0)
  store.subscribe(() => {})
  client.last.change('READ', { key: { id: 1 }, row: { id: 1 } })
  expect(store.getSnapshot()).toBe(loading)
  client.last.change('READY')
  const live = store.getSnapshot()
  expect(live).toMatchObject({ rows: [{ id: 1 }], state: 'live' })
  expect(store.getSnapshot()).toBe(live)
})

it('calls listeners once for the rows, and once for each transaction that changes a row', async () => {
  const { client, listener, store, ids } = open()
  expect(listener).toHaveBeenCalledOnce()
  const [first] = store.getSnapshot().rows
  client.last.change('INSERT', { key: { id: 3 }, row: { id: 3 }, transaction: '7' })
  client.last.change('UPDATE', { key: { id: 2 }, row: { id: 2, name: 'B' }, transaction: '7' })
  client.last.change('UPDATE', { key: { id: 1 }, row: { id: 1 }, transaction: '8' }) // another column than those selected
  await silence()
  expect(listener).toHaveBeenCalledTimes(2)
  expect(ids()).toEqual([1, 2, 3])
  expect(store.getSnapshot().rows[0]).toBe(first)
})

it('keeps the rows while it is offline and while it reads again; then those that are equal are the same', () => {
  const { client, store, ids } = open()
  const { rows } = store.getSnapshot()
  client.last.sink.interrupted()
  expect(store.status.state).toBe('offline')
  client.last.sink.accepted()
  client.last.change('RESET')
  expect(store.getSnapshot()).toMatchObject({ rows, state: 'catching-up' })
  expect(store.getSnapshot().rows).toBe(rows)
  client.last.rows(2, 5)
  expect(ids()).toEqual([2, 5])
  expect(store.getSnapshot().rows[0]).toBe(rows[1])
})

it('stays subscribed when a listener leaves and another comes; after `linger` it begins again with the rows of before', async () => {
  const { client, store, leave, ids } = open({ linger: 50 })
  leave()
  const again = store.subscribe(() => {})
  await vi.advanceTimersByTimeAsync(100)
  expect(client.subscriptions.length).toBe(1)
  again()
  await vi.advanceTimersByTimeAsync(100)
  expect(client.last.hasLeft).toBe(true)
  expect(store.getSnapshot().state).toBe('catching-up')
  store.subscribe(() => {})
  expect(client.subscriptions.length).toBe(2)
  expect(ids()).toEqual([1, 2])
  client.last.rows(4)
  expect(ids()).toEqual([4])
})

it('reads again with refetch, also after an error', () => {
  const { client, store, ids } = open()
  client.last.error('FORBIDDEN')
  expect(store.error?.code).toBe('FORBIDDEN')
  expect(store.getSnapshot()).toMatchObject({ state: 'failed', error: { code: 'FORBIDDEN' } })
  store.refetch()
  client.last.rows(7)
  expect(ids()).toEqual([7])
  expect(store.getSnapshot()).toMatchObject({ state: 'live', error: undefined })
})

it('after dispose, is closed for ever', async () => {
  const { client, store, listener } = open()
  store.dispose()
  store.dispose()
  expect(store.getSnapshot().state).toBe('closed')
  expect(listener).toHaveBeenCalledTimes(2)
  store.subscribe(listener)
  store.refetch()
  client.last.change('INSERT', { key: { id: 3 }, row: { id: 3 } })
  await silence()
  expect(client.subscriptions.length).toBe(1)
  expect(listener).toHaveBeenCalledTimes(2)
})

it('is closed when its client is disposed of', () => {
  const { client, store } = open()
  client.last.sink.complete()
  expect(store.getSnapshot().state).toBe('closed')
})

it('fails with what to do if there are too many rows, or a change has no key', async () => {
  const many = open({ maxRows: 2 })
  many.client.last.change('INSERT', { key: { id: 3 }, row: { id: 3 }, transaction: '7' })
  await silence()
  expect(many.store.error?.message).toContain('more than 2 rows')
  const { client, store } = open({ key: change => change.row?.name })
  expect(store.error?.message).toContain('select key')
  expect(client.last.hasLeft).toBe(true)
})

it('a key of several columns identifies a row', () => {
  const { client, store } = open()
  client.last.change('RESET')
  for (const key of [
    { a: 1, b: '2' },
    { a: '1', b: 2 },
    { a: 1, b: '2' },
  ])
    client.last.change('READ', { key, row: { id: 1 } })
  client.last.change('READY')
  expect(store.getSnapshot().rows.length).toBe(2)
})

it('a document without `initial` is refused before it is used', () => {
  expect(() =>
    liveRows(createScriptedClient(), { changes: 'subscription { peopleChanged { operation } }' }),
  ).toThrow('peopleChanged(initial: true)')
})

it('has the types of a typed document', () => {
  const store = liveRows(createScriptedClient(), {
    changes: keptPeople,
    variables: { where: { age: { gte: 18 } } },
    compare: (a, b) => a.pk - b.pk,
  })
  expectTypeOf(store.getSnapshot().rows).toEqualTypeOf<
    readonly { pk: number; name: string | null; age: number | null }[]
  >()
  liveRows(createScriptedClient(), {
    changes: keptPeople,
    // @ts-expect-error not a variable of the document
    variables: { wher: {} },
  })
  const untyped = liveRows(createScriptedClient(), { changes: CHANGES })
  expectTypeOf(untyped.getSnapshot().rows).toEqualTypeOf<readonly Record<string, unknown>[]>()
})
