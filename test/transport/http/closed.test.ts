import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { expect, it } from 'vitest'
import { onceClosed } from '../../../src/transport/http/closed.js'
import { replyPaced } from '../../../src/transport/http/paced-reply.js'

/** Runs `handle` on the second of two pipelined requests whose client disconnects while the server still answers the first. */
async function secondOfTwo(
  handle: (request: IncomingMessage, response: ServerResponse, left: Promise<unknown>) => Promise<void>,
): Promise<void> {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const handled = new Promise<void>((resolve, reject) => {
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      if (request.url === '/first') return void response.write('it goes on')
      const left = once(request.socket, 'close')
      client.destroy()
      handle(request, response, left).then(resolve, reject)
    })
  })
  client.write('GET /first HTTP/1.1\r\nhost: h\r\n\r\nGET /second HTTP/1.1\r\nhost: h\r\n\r\n')
  await handled
  server.close()
}

it('an answer to a client that has disconnected is dropped, whenever the client disconnected', async () => {
  for (const isKnown of [true, false]) {
    await secondOfTwo(async (_request, response, left) => {
      if (isKnown) await left
      await replyPaced(response, 200, {}, Buffer.alloc(1_000_000), 20)
    })
  }
})

it('onceClosed calls its callback also if the client disconnected before', async () => {
  await secondOfTwo(async (request, response, left) => {
    await left
    let times = 0
    onceClosed(request, response, () => times++)
    expect(times).toBe(1)
  })
})

it('onceClosed does not call its callback after it has been told to stop, and leaves no listener', async () => {
  await secondOfTwo(async (request, response, left) => {
    const listeners = () => [response, request.socket].map(each => each.listenerCount('close'))
    const before = listeners()
    let times = 0
    const stop = onceClosed(request, response, () => times++)
    stop()
    expect(listeners()).toEqual(before)
    await left
    expect(times).toBe(0)
  })
})
