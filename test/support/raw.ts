import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { connect, type Socket } from 'node:net'
import { type ClientOptions, WebSocket } from 'ws'
import { Inbox } from './inbox.js'

/** Clients without protocol rules: they send exactly the bytes of a test. */

export interface RawAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface RawRequest {
  readonly method?: string
  /** Target of the request line, unchanged. */
  readonly path?: string
  readonly headers?: Record<string, string>
  readonly body?: string | Buffer | undefined
}

/** Sends one HTTP request on a new connection, and resolves with the whole answer. */
export function send(url: string, options: RawRequest = {}): Promise<RawAnswer> {
  const { port } = new URL(url)
  const { method = 'GET', path = '/', headers = {}, body } = options
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { host: '127.0.0.1', port, method, path, headers, agent: false },
      response => {
        const chunks: Buffer[] = []
        response.on('data', chunk => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks).toString(),
          }),
        )
      },
    )
    request.on('upgrade', (response, socket) => {
      socket.destroy()
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: '' })
    })
    request.on('error', reject)
    request.end(body)
  })
}

const JSON_HEADERS = { 'content-type': 'application/json' }

/** POSTs a GraphQL request. */
export function post(
  url: string,
  body: unknown,
  headers: Record<string, string> = {},
  path = '/graphql',
): Promise<RawAnswer> {
  const text = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body)
  return send(url, { method: 'POST', path, headers: { ...JSON_HEADERS, ...headers }, body: text })
}

/** A raw TCP connection to the server. */
export interface RawConnection {
  readonly socket: Socket
  /** Returns all data received so far. */
  text(): string
  /** Resolves with all data received so far once it contains `part`. */
  until(part: string): Promise<string>
  /** Resolves with all received data once the connection is closed. */
  readonly closed: Promise<string>
}

export async function openConnection(url: string): Promise<RawConnection> {
  const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', allowHalfOpen: true })
  const chunks: Buffer[] = []
  const text = () => Buffer.concat(chunks).toString()
  socket.on('error', () => undefined)
  socket.on('data', chunk => chunks.push(chunk))
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  return {
    socket,
    text,
    until: part =>
      new Promise((resolve, reject) => {
        const settle = (how: () => void) => {
          clearTimeout(timer)
          socket.off('data', look).off('close', look)
          how()
        }
        const look = () => {
          if (text().includes(part)) settle(() => resolve(text()))
          else if (socket.closed) settle(() => reject(new Error(`closed without ${part}: ${text()}`)))
        }
        const timer = setTimeout(
          () => settle(() => reject(new Error(`waited for ${part}, got ${text()}`))),
          15_000,
        )
        socket.on('data', look).on('close', look)
        look()
      }),
    closed: new Promise(resolve => {
      // If the server ends its side only, the connection is over too.
      socket.once('end', () => socket.end())
      socket.once('close', () => resolve(text()))
    }),
  }
}

/** Writes bytes to the server, and resolves with all data received until the server closed the connection. */
export async function exchange(url: string, bytes: string | Buffer): Promise<string> {
  const connection = await openConnection(url)
  connection.socket.write(bytes)
  return connection.closed
}

export interface Closed {
  readonly code: number
  readonly reason: string
}

/** A WebSocket that queues its messages for the test. */
export interface RawWebSocket {
  readonly webSocket: WebSocket
  readonly messages: Inbox<string>
  readonly closed: Promise<Closed>
  send(message: unknown): void
}

/** Resolves once open. Rejects with status and text if the upgrade is refused. */
export function openWebSocket(
  url: string,
  path: string,
  protocols: string | string[] = [],
  options: ClientOptions = {},
): Promise<RawWebSocket> {
  const webSocket = new WebSocket(`${url.replace('http', 'ws')}${path}`, protocols, options)
  const messages = new Inbox<string>()
  webSocket.on('message', data => messages.push(String(data)))
  const closed = new Promise<Closed>(resolve => {
    webSocket.once('close', (code, reason) => resolve({ code, reason: String(reason) }))
  })
  return new Promise((resolve, reject) => {
    webSocket.once('open', () => {
      webSocket.on('error', () => undefined)
      resolve({
        webSocket,
        messages,
        closed,
        send(message) {
          const raw = typeof message === 'string' || Buffer.isBuffer(message)
          webSocket.send(raw ? message : JSON.stringify(message))
        },
      })
    })
    webSocket.once('error', reject)
    webSocket.once('unexpected-response', (_request, response) => {
      let body = ''
      response.on('data', chunk => {
        body += chunk
      })
      response.on('end', () => reject(new Error(`${response.statusCode} ${body}`)))
    })
  })
}

/** A message of graphql-transport-ws from the server. */
export interface Message {
  readonly type: string
  readonly id?: string
  readonly payload?: unknown
}

export interface RawGraphql extends RawWebSocket {
  next(what?: string): Promise<Message>
  /** Subscribes to a channel, and resolves once the subscription is accepted. */
  listen(id: string, channel: string): Promise<void>
}

export const channelQuery = (channel: string) =>
  `subscription { channel(name: ${JSON.stringify(channel)}) { payload } }`

/** Opens a connection of graphql-transport-ws, acknowledged unless `init` is false. */
export async function openGraphql(
  url: string,
  { init = true, ...options }: { readonly init?: boolean } & ClientOptions = {},
): Promise<RawGraphql> {
  const socket = await openWebSocket(url, '/graphql', 'graphql-transport-ws', options)
  const next = async (what = 'a message') => JSON.parse(await socket.messages.next(what)) as Message
  const raw: RawGraphql = {
    ...socket,
    next,
    async listen(id, channel) {
      socket.send({ id, type: 'subscribe', payload: { query: channelQuery(channel) } })
      const message = await next('acceptance')
      const cursors = (message.payload as { cursors?: Record<string, unknown> } | undefined)?.cursors
      if (message.type !== 'ping' || !cursors || !(id in cursors)) {
        throw new Error(`not accepted: ${JSON.stringify(message)}`)
      }
    },
  }
  if (init) {
    socket.send({ type: 'connection_init' })
    const ack = await next('connection_ack')
    if (ack.type !== 'connection_ack') throw new Error(`not acknowledged: ${JSON.stringify(ack)}`)
  }
  return raw
}

/** Returns the head of a WebSocket handshake as bytes. */
export function handshake(url: string, path: string, headers: Record<string, string> = {}): string {
  const all = {
    host: new URL(url).host,
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    ...headers,
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`
}

/** Returns a WebSocket frame of a client (https://www.rfc-editor.org/rfc/rfc6455#section-5.2) with a mask of zeros. */
export function frame(opcode: number, payload: string | Buffer = '', fin = true): Buffer {
  const data = Buffer.from(payload)
  const head = Buffer.alloc(data.length < 126 ? 2 : data.length < 65_536 ? 4 : 10)
  head[0] = (fin ? 0x80 : 0) | opcode
  if (data.length < 126) head[1] = 0x80 | data.length
  else if (data.length < 65_536) {
    head[1] = 0x80 | 126
    head.writeUInt16BE(data.length, 2)
  } else {
    head[1] = 0x80 | 127
    head.writeBigUInt64BE(BigInt(data.length), 2)
  }
  return Buffer.concat([head, Buffer.alloc(4), data])
}
