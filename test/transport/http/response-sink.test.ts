import { once } from 'node:events'
import { createServer, get, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { text as readText } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Outbound } from '../../../src/delivery/outbound.js'
import { createFrame, type Frame } from '../../../src/delivery/stream.js'
import { ListenqlError } from '../../../src/lib/errors.js'
import { cutResponse, HttpSink, type StreamFormat } from '../../../src/transport/http/response-sink.js'

const STOPPING = new ListenqlError('SERVER_STOPPING', 'it stops')
const FORMAT: StreamFormat = {
  name: 'sse',
  headers: { 'content-type': 'text/plain' },
  opening: 'opening;',
  next: (json, cursor) => `${json}${cursor === undefined ? '' : `@${cursor}`};`,
  keepAlive: () => 'alive;',
  last: json => `last ${json};`,
  goodbye: ({ code }) => `goodbye ${code};`,
  isCutOff: true,
}

let server: Server
const clients: { destroy(): void }[] = []
beforeEach(async () => {
  server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
})
afterEach(() => {
  for (const client of clients.splice(0)) client.destroy()
  server.closeAllConnections()
  server.close()
})

/** Opens a stream, and returns the sink and the answer that its client receives. */
async function openStream(format: Partial<StreamFormat> = {}) {
  const asked = once(server, 'request')
  const request = get({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', agent: false })
  request.on('error', () => undefined)
  clients.push(request)
  const answered = once(request, 'response')
  const [, response] = (await asked) as [IncomingMessage, ServerResponse]
  response.writeHead(200, { 'content-type': 'text/plain' })
  response.write('opening;')
  const [answer] = (await answered) as [IncomingMessage]
  let received = ''
  const ended = readText(
    answer.on('data', chunk => {
      received += chunk
    }),
  ).catch(() => 'cut')
  const calls: string[] = []
  const sink = new HttpSink(
    response,
    { ...FORMAT, ...format },
    { encode: ({ id }) => String(id) },
    {
      cut: () => calls.push('cut'),
      final: () => calls.push('final'),
    },
  )
  const borrowed: string[] = []
  sink.outbound = {
    borrow: () => borrowed.push('borrowed'),
    giveBack: () => borrowed.push('given back'),
    resume: () => borrowed.push('resumed'),
  } as unknown as Outbound
  return { response, answer, sink, calls, borrowed, ended, received: () => received }
}

function write(sink: HttpSink, ...parts: readonly (Frame | string)[]): void {
  sink.begin()
  for (const part of parts) typeof part === 'string' ? sink.control(part) : sink.frame(undefined, part)
  sink.end()
}

const final = (text: string) => createFrame(text, undefined, undefined, { isFinal: true })
const at = (id: number) => ({ n: 1, token: 1, ord: 1, statement: 1, id })

describe('a stream over HTTP', () => {
  it('carries the frames and messages in order with their positions, and ends after the last frame', async () => {
    const { sink, calls, ended } = await openStream()
    write(sink, createFrame('1', 1, at(7)), 'alive;', createFrame('é'))
    write(sink, final('3'))
    expect(await ended).toBe('opening;1@7;alive;é;last 3;')
    expect(calls).toEqual(['final'])
  })

  it('shares the encoded bytes of a frame with other responses of the same format', async () => {
    const [one, other] = [await openStream(), await openStream()]
    const frame = createFrame('shared')
    write(one.sink, frame)
    const encoded = [...(frame.encoded?.values() ?? [])]
    write(other.sink, frame)
    expect(encoded.length).toBe(1)
    expect([...(frame.encoded?.values() ?? [])]).toEqual(encoded)
    expect([...(frame.encoded?.values() ?? [])][0]).toBe(encoded[0])
    for (const { sink, ended } of [one, other]) {
      write(sink, final('end'))
      expect(await ended).toBe('opening;shared;last end;')
    }
  })

  it('puts everything between begin() and end() into one write', async () => {
    const { response, sink } = await openStream()
    const socket = response.socket
    if (!socket) throw new Error('it is connected')
    const spy = vi.spyOn(socket, 'write')
    write(sink, createFrame('1'), 'alive;', createFrame('2'))
    expect(spy).toHaveBeenCalledOnce()
  })

  it('sends a large frame piece by piece as its client reads, and borrows the frame until then', async () => {
    const { answer, sink, borrowed, ended } = await openStream()
    answer.pause()
    const text = 'x'.repeat(20_000_000) // more than the buffers of the operating system take
    write(sink, 'before;', createFrame(text))
    expect([sink.writable, borrowed]).toEqual([false, ['borrowed']])
    expect(sink.held).toBeLessThan(1_000_000)
    answer.resume()
    await vi.waitFor(() => expect(sink.writable).toBe(true), 10_000)
    expect(borrowed).toContain('given back')
    expect(borrowed).toContain('resumed')
    write(sink, final('end'))
    expect(await ended).toBe(`opening;before;${text};last end;`)
  })

  it('holds its own messages until they have left', async () => {
    const { answer, sink } = await openStream()
    answer.pause()
    write(sink, ...Array.from({ length: 400 }, () => 'x'.repeat(60_000)))
    expect(sink.held).toBeGreaterThan(10_000_000)
    answer.resume()
    await vi.waitFor(() => expect([sink.writable, sink.held]).toEqual([true, 0]), 10_000)
  })

  it('reports that it must be cut', async () => {
    const { sink, calls } = await openStream()
    sink.cut()
    expect(calls).toEqual(['cut'])
  })
})

describe('the end of a stream', () => {
  it('cuts the connection after all written data, if the client of the format reconnects only then', async () => {
    const { sink, ended, received } = await openStream()
    const text = 'x'.repeat(20_000_000) // The message waits in the sink.
    write(sink, createFrame(text))
    sink.endForReconnect(STOPPING)
    expect(await ended).toBe('cut')
    expect(received()).toBe(`opening;${text};goodbye SERVER_STOPPING;`)
  })

  it('completes the response after all written data, if the format has an end message', async () => {
    const { sink, ended } = await openStream({ isCutOff: false })
    const text = 'x'.repeat(20_000_000)
    write(sink, createFrame(text))
    sink.endForReconnect(STOPPING)
    expect(await ended).toBe(`opening;${text};goodbye SERVER_STOPPING;`)
  })
})

it('a client of HTTP/1.0 gets no chunks, and a reset instead of an end if the response is cut', async () => {
  const asked = once(server, 'request')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  clients.push(socket)
  let received = ''
  socket.on('data', chunk => {
    received += chunk
  })
  const failed = new Promise(resolve => socket.once('close', resolve))
  const errors: unknown[] = []
  socket.on('error', error => errors.push(error))
  socket.write('GET / HTTP/1.0\r\n\r\n')
  const [, response] = (await asked) as [IncomingMessage, ServerResponse]
  response.writeHead(200, {})
  const sink = new HttpSink(response, FORMAT, { encode: () => '' }, { cut() {}, final() {} })
  write(sink, 'alive;', createFrame('1'))
  await vi.waitFor(() => expect(received).toContain('1;'))
  expect(received.split('\r\n\r\n')[1]).toBe('alive;1;')
  cutResponse(response)
  await failed
  expect(errors).toMatchObject([{ code: 'ECONNRESET' }])
})
