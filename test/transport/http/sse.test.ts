import { describe, expect, it } from 'vitest'
import { ListenqlError } from '../../../src/lib/errors.js'
import { eventSource, sse } from '../../../src/transport/http/sse.js'
import { type DispatchedEvent, readEventStream } from '../../support/real-clients/event-stream.js'

/** Returns the events that an EventSource dispatches for this text. */
async function dispatched(text: string): Promise<DispatchedEvent[]> {
  const events: DispatchedEvent[] = []
  for await (const event of readEventStream(new Response(text, { headers: sse.headers }))) events.push(event)
  return events
}

describe('Server-Sent Events', () => {
  it('carry a result as an event `next`, with its position as the id', async () => {
    expect(sse.next('{"a":1}', 'cursor')).toBe('event: next\nid: cursor\ndata: {"a":1}\n\n')
    expect(sse.next('{"a":1}')).toBe('event: next\ndata: {"a":1}\n\n')
    expect(await dispatched(sse.opening + sse.next('{"a":1}', 'cursor'))).toMatchObject([
      { type: 'next', data: '{"a":1}' },
    ])
  })

  it('end with the last result and an event `complete` that browsers do not ignore', async () => {
    expect(await dispatched(sse.last('{"data":{}}', false))).toMatchObject([
      { type: 'next', data: '{"data":{}}' },
      { type: 'complete', data: '' },
    ])
  })

  it('make the client drop a refused cursor, and no other', () => {
    const refused = '{"errors":[{"message":"m","extensions":{"code":"CURSOR_EXPIRED"}}]}'
    const other = '{"errors":[{"message":"m","extensions":{"code":"FORBIDDEN"}}]}'
    expect(sse.last(refused, true)).toContain('\nid:\n')
    expect(sse.last(other, true)).not.toContain('id:')
  })

  it('set the time to reconnect: soon after a cut, later after an error, rarely after the result of a query', () => {
    expect(sse.opening).toBe('retry: 1000\n\n')
    expect(sse.last('{"errors":[{"message":"m","extensions":{"code":"DATABASE_FAILED"}}]}', false)).toMatch(
      /^retry: 10000\n/,
    )
    expect(sse.last('{"data":{}}', false)).toMatch(/^retry: 300000\n/)
  })

  it('keep the connection alive without an event, and send the position by its id alone', async () => {
    expect([sse.keepAlive(undefined), sse.keepAlive('cursor')]).toEqual([':\n\n', 'id: cursor\n\n'])
    expect(await dispatched(sse.keepAlive(undefined) + sse.keepAlive('cursor'))).toEqual([])
  })

  it('announce the end in a comment, which clients ignore, before the connection is cut', async () => {
    const goodbye = sse.goodbye(new ListenqlError('SERVER_STOPPING', 'The server is stopping.'))
    expect(goodbye).toBe(': SERVER_STOPPING The server is stopping.\n\n')
    expect([await dispatched(goodbye), sse.isCutOff]).toEqual([[], true])
  })

  it('are not buffered by proxies', () => {
    expect(sse.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    })
  })
})

describe('for an EventSource', () => {
  it('a position is an event of its own, because polyfills ignore the id of a block without data', async () => {
    expect(await dispatched(eventSource.keepAlive('cursor'))).toMatchObject([{ type: 'position', data: '' }])
    expect(eventSource.keepAlive('cursor')).toContain('\nid: cursor\n')
    expect(eventSource.keepAlive(undefined)).toBe(':\n\n')
  })
})
