import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { MARK } from '../payload.js'
import type { TransportName } from '../variants.js'
import type { Counter } from './tally.js'
import { type Control, clientFrame, WebSocketReader } from './websocket-reader.js'

export interface Subscription {
  readonly query: string
  readonly variables?: Readonly<Record<string, unknown>>
}

export interface ConnectionTask {
  readonly transport: TransportName
  readonly port: number
  /** Path of the URL. */
  readonly path: string
  readonly subscription?: Subscription
  /** Number of identical subscriptions on this connection. graphql-ws only. */
  readonly copies: number
  /** Waits until the server has accepted the subscription, which listenql announces with a ping. */
  readonly awaitAcceptance: boolean
  /** Deadline for connecting and subscribing, in ms. */
  readonly timeout: number
  /** Whether the connection stops reading once it has subscribed. */
  readonly deaf: boolean
}

// One buffer for all sockets: what one socket has read is processed before the next socket is read.
const buffer = Buffer.allocUnsafe(256 * 1024)
const TEXT = 1
const PING = 9

/** Connects, subscribes and counts. Resolves once subscribed; rejects if the server refuses the subscription, or closes first. */
export function open(task: ConnectionTask, counter: Counter): Promise<Socket> {
  const isWebSocket = task.transport !== 'sse'
  return new Promise((resolve, reject) => {
    let head = ''
    let isOpen = false
    let acknowledged = false
    const timer = setTimeout(
      () => fail(new Error(`not subscribed after ${task.timeout / 1000} s`)),
      task.timeout,
    )
    const done = () => {
      clearTimeout(timer)
      if (task.deaf) socket.pause()
      resolve(socket)
    }
    const reader = new WebSocketReader(counter, onControl)
    const socket = connect({
      port: task.port,
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer,
        callback(length: number): boolean {
          if (isOpen) {
            if (isWebSocket) reader.read(buffer, length)
            else countMarks(length, 0)
            return true
          }
          head += buffer.toString('latin1', 0, length)
          const end = head.indexOf('\r\n\r\n')
          if (end < 0) return true
          const status = head.slice(9, 12)
          if (status !== (isWebSocket ? '101' : '200')) {
            fail(new Error(`the server answered ${head.slice(0, 300)}`))
            return false
          }
          isOpen = true
          const rest = Buffer.from(head.slice(end + 4), 'latin1')
          if (isWebSocket) reader.read(rest, rest.length)
          else countMarks(rest.copy(buffer), 0)
          if (task.transport === 'graphql-ws') send({ type: 'connection_init' })
          else done()
          return true
        },
      },
    })
    const fail = (error: Error) => {
      reject(error)
      socket.destroy()
    }
    socket.once('connect', () => socket.write(request(task)))
    socket.once('error', fail)
    socket.once('close', () => {
      clearTimeout(timer)
      counter.close()
      reject(new Error('the server closed the connection'))
    })

    function send(message: unknown): void {
      socket.write(clientFrame(TEXT, Buffer.from(JSON.stringify(message))))
    }

    function onControl({ opcode, data }: Control): void {
      if (opcode === PING) return void socket.write(clientFrame(10, data))
      if (opcode !== TEXT || task.transport !== 'graphql-ws') return
      const message = JSON.parse(String(data)) as { type: string; payload?: { cursors?: unknown } }
      if (message.type === 'connection_ack') {
        for (let id = 1; id <= task.copies; id++) {
          send({ id: String(id), type: 'subscribe', payload: task.subscription })
        }
        if (!task.awaitAcceptance) done()
      } else if (message.type === 'ping') {
        send({ type: 'pong' })
        if (message.payload?.cursors && !acknowledged) {
          acknowledged = true
          if (task.awaitAcceptance) done()
        }
      } else if (message.type !== 'pong') {
        fail(new Error(`the server said ${String(data)}`))
      }
    }

    function countMarks(length: number, from: number): void {
      const seen = buffer.subarray(0, length)
      for (let at = seen.indexOf(MARK, from); at >= 0; at = seen.indexOf(MARK, at + 1)) {
        if (counter.add()) counter.tally.sample(seen, at + 1, length)
      }
    }
  })
}

function request({ transport, port, path, subscription }: ConnectionTask): string {
  const host = `Host: 127.0.0.1:${port}\r\n`
  if (transport === 'sse') {
    const body = JSON.stringify(subscription)
    return `POST ${path} HTTP/1.1\r\n${host}Accept: text/event-stream\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  }
  const protocol = transport === 'graphql-ws' ? 'Sec-WebSocket-Protocol: graphql-transport-ws\r\n' : ''
  const key = randomBytes(16).toString('base64')
  return `GET ${path} HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n${protocol}\r\n`
}
