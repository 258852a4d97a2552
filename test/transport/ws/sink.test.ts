import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import type { Outbound } from '../../../src/delivery/outbound.js'
import { createFrame, FrameStream } from '../../../src/delivery/stream.js'
import { Subscriber } from '../../../src/delivery/subscriber.js'
import { closeWebSocket, type Envelope, endWebSocket, WebSocketSink } from '../../../src/transport/ws/sink.js'

const LARGE = 300_000 // Several fragments.

let servers: WebSocketServer
let served: WebSocket
let socket: Duplex
let client: WebSocket
let messages: string[]
beforeEach(async () => {
  servers = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(servers, 'listening')
  const connected = once(servers, 'connection')
  messages = []
  client = new WebSocket(`ws://127.0.0.1:${(servers.address() as AddressInfo).port}`)
  client.on('message', (data, isBinary) => messages.push(isBinary ? 'binary' : String(data)))
  const [webSocket, request] = await connected
  served = webSocket
  socket = request.socket
  if (client.readyState !== WebSocket.OPEN) await once(client, 'open')
})
afterEach(() => {
  client.terminate()
  servers.close()
})

function createTested(envelope: Partial<Envelope> = {}) {
  const others: string[] = []
  const sink = new WebSocketSink(
    served,
    socket,
    {
      before: ({ id }) => `{"id":"${id}","payload":`,
      after: '}',
      isOther: () => false,
      ...envelope,
    },
    {
      other: (_subscriber, { text }) => void others.push(text),
      cut: reason => void others.push(reason),
    },
  )
  socket.on('drain', () => sink.drained())
  const borrowed: string[] = []
  sink.outbound = {
    borrow: () => borrowed.push('borrowed'),
    giveBack: () => borrowed.push('given back'),
    resume: () => borrowed.push('resumed'),
  } as unknown as Outbound
  return { sink, others, borrowed }
}
const subscriber = (id: string) => new Subscriber(id, new FrameStream())
/** Resolves once the client has received everything that was sent before. */
async function arrived(): Promise<void> {
  const pong = once(client, 'pong')
  client.ping()
  await pong
}

describe('the data between begin() and end()', () => {
  it('leaves in one write, as whole text messages, in order', async () => {
    const { sink } = createTested()
    const write = vi.spyOn(socket, 'write')
    sink.begin()
    sink.control('hello')
    sink.frame(subscriber('1'), createFrame('"é"'))
    sink.frame(subscriber('2'), createFrame('"b"'))
    sink.end()
    expect(write).toHaveBeenCalledOnce()
    await arrived()
    expect(messages).toEqual(['hello', '{"id":"1","payload":"é"}', '{"id":"2","payload":"b"}'])
  })

  it('is not written after the connection has begun to close', () => {
    const { sink } = createTested()
    served.close()
    const write = vi.spyOn(socket, 'write')
    sink.begin()
    sink.control('hello')
    sink.end()
    expect(write).not.toHaveBeenCalled()
  })

  it('is flushed before a frame that triggers an action, because the action may close the connection', async () => {
    const { sink, others } = createTested({ isOther: ({ isFinal }) => isFinal })
    const write = vi.spyOn(socket, 'write')
    sink.begin()
    sink.control('before')
    sink.frame(subscriber('1'), createFrame('last', 4, undefined, { isFinal: true }))
    expect([write.mock.calls.length, others]).toEqual([1, ['last']])
    sink.end()
    await arrived()
    expect(messages).toEqual(['before'])
  })
})

describe('a frame that many connections send', () => {
  it('is encoded once: as a whole message without a prefix, else as the part after the prefix', () => {
    const { sink } = createTested({ before: () => '', after: '' })
    const frame = createFrame('"a"')
    sink.begin()
    sink.frame(subscriber('1'), frame)
    const [first] = [...(frame.encoded?.values() ?? [])]
    expect(first?.[0]).toBe(0x81) // A whole message.
    sink.frame(subscriber('2'), frame)
    expect([...(frame.encoded?.values() ?? [])]).toEqual([first])
    expect([...(frame.encoded?.values() ?? [])][0]).toBe(first)
  })

  it('needs its prefix once for each subscriber', () => {
    const before = vi.fn(() => 'before')
    const { sink } = createTested({ before })
    const one = subscriber('1')
    for (const text of ['a', 'b']) sink.frame(one, createFrame(text))
    expect(before).toHaveBeenCalledOnce()
  })
})

describe('a large message', () => {
  it('arrives whole and in order, and its frame is borrowed until it has left', async () => {
    const { sink, borrowed } = createTested()
    const text = JSON.stringify('x'.repeat(LARGE))
    sink.begin()
    sink.control('before')
    sink.frame(subscriber('1'), createFrame(text))
    sink.end()
    await vi.waitFor(() => expect(sink.writable).toBe(true))
    sink.begin()
    sink.control('after')
    sink.end()
    await arrived()
    expect(messages).toEqual(['before', `{"id":"1","payload":${text}}`, 'after'])
    expect([borrowed[0], borrowed.includes('given back')]).toEqual(['borrowed', true])
  })

  it('waits for the socket between its fragments, and signals when more can be written', async () => {
    const { sink, borrowed } = createTested()
    client.pause()
    const text = 'x'.repeat(20_000_000) // more than the buffers of the operating system take
    sink.begin()
    sink.frame(subscriber('1'), createFrame(text))
    sink.end()
    expect([sink.writable, borrowed]).toEqual([false, ['borrowed']])
    expect(sink.held).toBeLessThan(1_000_000) // The frame is shared, not held by this connection.
    client.resume()
    await vi.waitFor(() => expect(messages.length).toBe(1), 10_000)
    expect(messages[0]?.length).toBe('{"id":"1","payload":}'.length + text.length)
    expect(sink.writable).toBe(true)
    expect(borrowed).toContain('resumed')
    expect(borrowed.indexOf('given back')).toBeGreaterThan(0)
  })

  it('of the protocol is not borrowed, and is held by the connection alone', () => {
    const { sink, borrowed } = createTested()
    client.pause()
    sink.begin()
    sink.control('x'.repeat(20_000_000))
    sink.end()
    expect(borrowed).toEqual([])
    expect(sink.held).toBeGreaterThan(10_000_000)
  })
})

describe('the end of a connection', () => {
  it('has a code and a reason after which the client reconnects', async () => {
    const closed = once(client, 'close')
    endWebSocket(served, 'stopping')
    const [code, reason] = await closed
    expect([code, String(reason)]).toEqual([1001, 'The server is stopping'])
  })

  it('has a reason of 123 bytes at most, cut between two characters', async () => {
    const closed = once(client, 'close')
    closeWebSocket(served, 4400, `${'x'.repeat(122)}é`)
    const [code, reason] = await closed
    expect([code, String(reason)]).toEqual([4400, 'x'.repeat(122)])
  })

  it('does not wait for a client that never answers', async () => {
    client.pause()
    const closed = once(served, 'close')
    closeWebSocket(served, 4400, 'bye')
    const [code] = await closed
    expect(code).toBe(1006)
  })

  it('is not sent if the connection is closed already', async () => {
    const closed = once(served, 'close')
    client.terminate()
    await closed
    const close = vi.spyOn(served, 'close')
    closeWebSocket(served, 4400, 'bye')
    expect(close).not.toHaveBeenCalled()
  })
})
