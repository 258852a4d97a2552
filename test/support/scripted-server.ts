import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'
import { waitUntil } from './wait.js'

/** An event of the history. */
export interface HistoryEvent {
  readonly value: number
  /**
   * `plain` has no cursor and is not kept; `elsewhere` belongs to another topic, and only moves the position of the
   * subscription.
   */
  readonly kind: 'durable' | 'plain' | 'elsewhere'
}

/** A `subscribe` message that the server received. */
export interface Taken {
  readonly id: string
  readonly payload: {
    readonly query: string
    readonly variables?: Record<string, unknown>
    readonly extensions?: Record<string, unknown>
  }
}

interface Follower {
  readonly webSocket: WebSocket
  readonly id: string
  /** Index into the history. */
  next: number
  /** Index of the first plain event that the follower can receive; earlier ones are lost. */
  readonly since: number
}

/**
 * A scripted server of graphql-transport-ws with listenql's positions: a cursor is the number of preceding events. A
 * subscription of `numbers` follows one history; the server answers `{ unary }` with `next` and `complete` in one packet, and
 * any other document with the errors in `refusal`.
 */
export interface ScriptedServer {
  readonly url: string
  readonly port: number
  readonly taken: readonly Taken[]
  /** Payloads of `connection_init`. */
  readonly inits: readonly unknown[]
  readonly sockets: ReadonlySet<WebSocket>
  /** Errors for later subscriptions, which receive them instead of events. */
  refusal: readonly { message: string; extensions?: Record<string, unknown> }[] | undefined
  /** The server accepts new sockets and sends them nothing, not even an acknowledgement. */
  mute: boolean
  /** Adds to the history without sending. Clients that are not connected never receive plain events. */
  add(...events: readonly HistoryEvent[]): void
  /** Sends the next events of the history, at most `count` to each subscription. */
  deliver(count?: number): void
  /** Sends all subscriptions their positions, one ping per socket. */
  ping(): void
  /** Closes all sockets: with a close code, or without a close frame. */
  kill(code?: number): void
  /** Silences the open sockets: messages in both directions wait for `thaw`. */
  freeze(): void
  thaw(): void
  /** Resolves once `count` subscriptions (a function is called on each check) follow on sockets that are not frozen. */
  following(count?: number | (() => number)): Promise<void>
  close(): Promise<void>
}

export async function startScriptedServer(port = 0): Promise<ScriptedServer> {
  const history: HistoryEvent[] = []
  const followers = new Set<Follower>()
  const sockets = new Set<WebSocket>()
  const frozen = new Map<WebSocket, string[]>()
  const taken: Taken[] = []
  const inits: unknown[] = []
  const wss = new WebSocketServer({
    host: '127.0.0.1',
    port,
    handleProtocols: () => 'graphql-transport-ws',
    perMessageDeflate: false,
  })
  await once(wss, 'listening')
  const address = wss.address() as AddressInfo

  const send = (webSocket: WebSocket, message: object) => {
    const text = JSON.stringify(message)
    const held = frozen.get(webSocket)
    if (held) held.push(text)
    else webSocket.send(text)
  }
  /** One write, so that the messages arrive as one chunk. */
  const together = (webSocket: WebSocket, work: () => void) => {
    const { _socket: socket } = webSocket as unknown as { _socket: { cork(): void; uncork(): void } }
    socket.cork()
    work()
    socket.uncork()
  }
  const positions = (of: readonly Follower[]) => ({
    type: 'ping',
    payload: { cursors: Object.fromEntries(of.map(({ id, next }) => [id, String(next)])) },
  })

  wss.on('connection', webSocket => {
    sockets.add(webSocket)
    if (server.mute) frozen.set(webSocket, [])
    webSocket.on('error', () => undefined)
    webSocket.on('close', () => {
      sockets.delete(webSocket)
      frozen.delete(webSocket)
      for (const follower of followers) if (follower.webSocket === webSocket) followers.delete(follower)
    })
    webSocket.on('message', data => {
      const message = JSON.parse(String(data))
      const { id, payload } = message
      if (message.type === 'connection_init') {
        inits.push(payload)
        return send(webSocket, { type: 'connection_ack' })
      }
      if (message.type === 'ping') return send(webSocket, { type: 'pong' })
      if (message.type === 'complete') {
        for (const one of followers) if (one.webSocket === webSocket && one.id === id) followers.delete(one)
      }
      if (message.type !== 'subscribe') return
      taken.push({ id, payload })
      if (server.refusal) {
        send(webSocket, { id, type: 'error', payload: server.refusal })
        server.refusal = undefined
      } else if (payload.query.startsWith('subscription')) {
        const after = payload.extensions?.after ?? payload.variables?.after
        const follower = { webSocket, id, next: Number(after ?? history.length), since: history.length }
        followers.add(follower)
        send(webSocket, positions([follower]))
      } else {
        together(webSocket, () => {
          send(webSocket, { id, type: 'next', payload: { data: { unary: true } } })
          send(webSocket, { id, type: 'complete' })
        })
      }
    })
  })

  const server: ScriptedServer = {
    url: `ws://127.0.0.1:${address.port}/graphql`,
    port: address.port,
    taken,
    inits,
    sockets,
    refusal: undefined,
    mute: false,
    add: (...events) => void history.push(...events),
    deliver(count = Number.POSITIVE_INFINITY) {
      for (const webSocket of sockets) {
        together(webSocket, () => {
          for (const follower of followers) {
            if (follower.webSocket !== webSocket) continue
            for (let left = count; left > 0 && follower.next < history.length; left--) {
              const { value, kind } = history[follower.next++] as HistoryEvent
              if (kind === 'elsewhere' || (kind === 'plain' && follower.next <= follower.since)) continue
              const extensions = kind === 'durable' ? { extensions: { cursor: String(follower.next) } } : {}
              const payload = { data: { numbers: value }, ...extensions }
              send(webSocket, { id: follower.id, type: 'next', payload })
            }
          }
        })
      }
    },
    ping() {
      for (const webSocket of sockets)
        send(webSocket, positions([...followers].filter(follower => follower.webSocket === webSocket)))
    },
    kill(code) {
      for (const webSocket of sockets) {
        if (code === undefined) webSocket.terminate()
        else webSocket.close(code, 'as the test wants it')
      }
      followers.clear()
    },
    freeze() {
      for (const webSocket of sockets) {
        frozen.set(webSocket, [])
        webSocket.pause() // The server does not notice either that the client has given up the socket.
      }
    },
    thaw() {
      const held = [...frozen]
      frozen.clear()
      for (const [webSocket, texts] of held) {
        for (const text of texts) webSocket.send(text)
        webSocket.resume()
      }
    },
    async following(count = 1) {
      const awake = () => [...followers].filter(({ webSocket }) => !frozen.has(webSocket)).length
      const wanted = typeof count === 'function' ? count : () => count
      await waitUntil(() => awake() === wanted(), `${wanted()} subscriptions`)
    },
    close() {
      for (const webSocket of sockets) webSocket.terminate()
      return new Promise(resolve => wss.close(() => resolve()))
    },
  }
  return server
}
