import { afterEach, beforeEach, expect, expectTypeOf, it, vi } from 'vitest'
import { liveQuery } from '../../../src/client/index.js'
import { livePeople } from '../../support/documents.js'
import type { LivePeopleSubscription } from '../../support/graphql/graphql.js'
import { createScriptedClient } from '../../support/scripted-rows.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

interface Data {
  readonly people: { readonly rows: readonly { readonly pk: number; readonly name: string }[] }
}
const ADA = { pk: 1, name: 'Ada' }
const BOB = { pk: 2, name: 'Bob' }

function open() {
  const client = createScriptedClient()
  const store = liveQuery<Data>(client, {
    query: 'subscription ($limit: Int) { people(limit: $limit) { rows { pk name } } }',
    variables: { limit: 2 },
  })
  const states: string[] = []
  store.subscribe(() => states.push(store.getSnapshot().state))
  const result = (...rows: { pk: number; name: string }[]) =>
    client.last.sink.next({ data: structuredClone({ people: { rows } }) })
  return { client, store, states, result }
}

it('each result replaces the last one, parts that are equal stay the same, and a listener is called once for each', () => {
  const { client, store, states, result } = open()
  expect(store.getSnapshot()).toMatchObject({ data: undefined, state: 'loading', isLoaded: false })
  client.last.sink.accepted()
  result(ADA, BOB)
  const before = store.getSnapshot()
  expect(before).toMatchObject({ data: { people: { rows: [ADA, BOB] } }, state: 'live', isLoaded: true })
  result({ pk: 3, name: 'Cy' }, ADA)
  const { data } = store.getSnapshot()
  expect(data?.people.rows[1]).toBe(before.data?.people.rows[0])
  result({ pk: 3, name: 'Cy' }, ADA)
  expect(store.getSnapshot().data).toBe(data)
  expect(states).toEqual(['live', 'live'])
  expect(client.last.payload.variables).toEqual({ limit: 2 })
})

it('after a lost connection, the last result stays until the present one arrives', () => {
  const { client, store, states, result } = open()
  result(ADA)
  const { data } = store.getSnapshot()
  client.last.sink.interrupted()
  client.last.sink.accepted()
  expect(store.getSnapshot().data).toBe(data)
  result(ADA)
  expect(store.getSnapshot().data).toBe(data)
  expect(states).toEqual(['live', 'offline', 'catching-up', 'live'])
})

it('begins anew after an error that passes, and ends with others until refetch', async () => {
  const { client, store, states, result } = open()
  result(ADA)
  client.last.error('SCHEMA_CHANGED', {}, 'instead of a change')
  await vi.advanceTimersByTimeAsync(12_000)
  client.last.error('GRAPHQL_VALIDATION_FAILED')
  expect(store.error?.code).toBe('GRAPHQL_VALIDATION_FAILED')
  store.refetch()
  result(BOB)
  expect(states).toEqual(['live', 'offline', 'catching-up', 'failed', 'catching-up', 'live'])
  expect(store.getSnapshot()).toMatchObject({ data: { people: { rows: [BOB] } }, error: undefined })
})

it('a query is refused, with what to do', () => {
  expect(() => liveQuery(createScriptedClient(), { query: '{ people { rows { pk } } }' })).toThrow(
    'write `subscription` in place of `query`',
  )
})

it('has the types of a typed document', () => {
  const store = liveQuery(createScriptedClient(), { query: livePeople, variables: { limit: 1 } })
  expectTypeOf(store.getSnapshot().data).toEqualTypeOf<LivePeopleSubscription | undefined>()
  // @ts-expect-error a variable is missing
  liveQuery(createScriptedClient(), { query: livePeople, variables: {} })
})
