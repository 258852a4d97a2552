import { describe, expect, it } from 'vitest'
import type { LogEvent } from '../../../src/log/log-event.js'
import { ChannelEvent } from '../../../src/sources/channels/channel-event.js'

describe('the JSON of an event', () => {
  it.each([
    ['an object', '{"a":1}', '{"a":1}'],
    ['a number that JavaScript would change, kept as written', '9007199254740993', '9007199254740993'],
    ['a string', '"hello"', '"hello"'],
    ['false, which is a value', 'false', 'false'],
    ['the JSON value null', 'null', null],
    ['a payload that is not JSON', 'hello', null],
    ['an empty payload', '', null],
    ['no payload', null, null],
  ])('%s', (_what, payload, json) => {
    const event = new ChannelEvent('news', payload)
    expect(event.json === null ? null : event.json.text).toBe(json)
  })

  it('is parsed once for all subscribers', () => {
    const event = new ChannelEvent('news', '{}')
    expect(event.json).toBe(event.json)
  })
})

it('an event has a cursor and a position only if it is in the log', () => {
  const plain = new ChannelEvent('news', 'hello')
  expect(plain).toMatchObject({ cursor: null, position: undefined, gap: false, endsHistory: false })
  expect(plain.at).toBeInstanceOf(Date)
  const position = { n: 1, token: 1, ord: 1, statement: 1, id: 1 }
  const logged = { topic: 'news', new: 'hello', position, at: new Date(5) } as LogEvent
  expect(ChannelEvent.ofLog(logged, { encode: () => 'cursor' })).toMatchObject({
    channel: 'news',
    payload: 'hello',
    cursor: 'cursor',
    position,
    at: new Date(5),
  })
})
