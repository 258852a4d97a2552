import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { channelEvents } from '../../../src/client/index.js'
import { createScriptedClient } from '../../support/scripted-rows.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function open(limit?: number) {
  const client = createScriptedClient()
  const heard: unknown[] = []
  const store = channelEvents(client, { name: 'news', limit, onEvent: ({ payload }) => heard.push(payload) })
  const listener = vi.fn()
  const leave = store.subscribe(listener)
  const send = (payload: string, cursor: string | null = null) =>
    client.last.sink.next({ data: { channel: { payload, json: null, gap: false, at: '', cursor } } })
  const events = () => store.getSnapshot().events.map(({ payload, gap }) => (gap ? 'gap' : payload))
  return { client, store, heard, listener, leave, send, events }
}

it('keeps the last events, and is live once the server has accepted it', () => {
  const { client, store, send, events, heard, listener } = open(2)
  expect(store.getSnapshot()).toMatchObject({ events: [], state: 'loading', isLoaded: false })
  client.last.sink.accepted()
  expect(store.getSnapshot()).toMatchObject({ events: [], state: 'live', isLoaded: true })
  for (const payload of ['a', 'b', 'c']) send(payload)
  expect(events()).toEqual(['b', 'c'])
  expect(heard).toEqual(['a', 'b', 'c'])
  expect(listener).toHaveBeenCalledTimes(4)
  expect(store.getSnapshot()).toBe(store.getSnapshot())
})

it('continues after the last published event when it begins anew', async () => {
  const { client, send, leave, store } = open()
  expect(client.last.payload.variables).toEqual({ name: 'news' })
  send('a', 'cursor 1')
  send('b')
  client.last.error('DATABASE_FAILED')
  await vi.advanceTimersByTimeAsync(12_000)
  expect(client.last.payload.variables).toEqual({ name: 'news', after: 'cursor 1' })
  send('c', 'cursor 2')
  leave()
  await vi.advanceTimersByTimeAsync(2_000)
  store.subscribe(() => {})
  expect(client.last.payload.variables).toEqual({ name: 'news', after: 'cursor 2' })
})

it.each(['CURSOR_EXPIRED', 'CURSOR_INVALID'])(
  'shows a gap after %s, and continues without a position',
  async code => {
    const { client, send, events } = open()
    send('a', 'cursor 1')
    client.last.error(code)
    await vi.advanceTimersByTimeAsync(12_000)
    expect(client.last.payload.variables).toEqual({ name: 'news' })
    send('b')
    expect(events()).toEqual(['a', 'gap', 'b'])
  },
)

it('fails with an error that would come again', async () => {
  const { client, store } = open()
  client.last.error('CHANNEL_NOT_ALLOWED')
  await vi.advanceTimersByTimeAsync(12_000)
  expect(store.error?.code).toBe('CHANNEL_NOT_ALLOWED')
  expect(client.subscriptions.length).toBe(1)
})
