import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { AccessRules } from '../../auth/channel-rules.js'
import type { Viewer } from '../../auth/viewer.js'
import type { Frame } from '../../delivery/stream.js'
import type { SubscriptionRequest } from '../../delivery/subscription.js'
import { IntervalQueue } from '../../lib/collections/interval-queue.js'
import { ListenqlError } from '../../lib/errors.js'
import type { ClientMemory } from '../../lib/limits/client-memory.js'
import { LimitExceeded } from '../../lib/limits/limit-exceeded.js'
import type { ChannelEvent } from '../../sources/channels/channel-event.js'
import type { EventSource } from '../../sources/source.js'
import { type Admit, isRefused } from '../admission.js'
import type { Connections } from '../connections.js'
import { CHANNELS_CHANGED, closeOf } from '../ends.js'
import { type Refusal, refuseUpgrade } from '../http/reply.js'
import type { ServerWebSocket } from './server-web-socket.js'
import { closeWebSocket, type Envelope } from './sink.js'
import { SocketClient, type SocketShared } from './socket-client.js'

// The protocol cannot express a gap or an error between payloads, so the server ends the connection instead and the client
// reconnects. No payload looks like these, since text in Postgres has no NUL.
const GAP = '\0gap'
const TOO_LARGE = '\0too large'
const FAREWELLS: ReadonlyMap<string, readonly [code: number, reason: string]> = new Map([
  [GAP, [1012, 'Notifications may have been missed: the database connection was lost']],
  [TOO_LARGE, [1009, 'EVENT_TOO_LARGE']],
])

export interface ListenOptions {
  readonly admit: Admit
  readonly connections: Connections
  /** Interval of pings in ms. */
  readonly keepAlive: number
  readonly rules: AccessRules
  /** @throws ListenqlError CHANNEL_NAME_INVALID */
  readonly channelSource: (name: string) => EventSource<ChannelEvent>
  readonly memory: ClientMemory
}

/** The raw WebSocket of pg_eventserv: `/listen/{channel}`, each message the payload of one notification and nothing else. */
export interface Listen {
  /** @returns the viewer, if it may listen to the channel */
  admit(channel: string, request: IncomingMessage): Promise<Viewer | Refusal>
  /**
   * Listens first, then has `upgrade` complete the handshake: a client that sees the socket open misses nothing from then on.
   */
  accept(
    channel: string,
    viewer: Viewer,
    request: IncomingMessage,
    upgrade: () => Promise<ServerWebSocket>,
  ): Promise<void>
}

export function createListen(options: ListenOptions): Listen {
  const { admit, rules, channelSource, connections, memory } = options
  const shared: SocketShared = {
    ...{ transport: 'listen', envelope: PAYLOAD, connections, memory },
    pings: new IntervalQueue(options.keepAlive),
  }
  return {
    async admit(channel, request) {
      const viewer = await admit({ transport: 'listen', request })
      if (isRefused(viewer)) return { ...viewer, message: `${viewer.error.message}\n` }
      try {
        rules.for(viewer).assertListen(channel)
        channelSource(channel)
        return viewer
      } catch (error) {
        if (!(error instanceof ListenqlError)) throw error
        return { status: error.code === 'CHANNEL_NOT_ALLOWED' ? 403 : 400, message: error.message }
      }
    },
    async accept(channel, viewer, request, upgrade) {
      const { socket } = request
      const left = new AbortController()
      socket.once('close', () => left.abort())
      const source = channelSource(channel)
      const stopNoticing = noticeLeaving(socket)
      const stopWaiting = connections.wait(() => refuseUpgrade(socket, 503, 'the server is stopping\n'))
      left.signal.addEventListener('abort', stopWaiting, { once: true })

      const release = await source.open({ event: () => undefined, end: () => undefined }, left.signal)
      try {
        stopNoticing()
        stopWaiting()
        const webSocket = await upgrade()
        socket.resume()
        const { connection } = new ListenClient(shared, webSocket, request)
        left.signal.addEventListener('abort', () => connection.close(), { once: true })
        try {
          connection.serve(viewer)
          await connection.subscribe(payloads(source) as SubscriptionRequest<unknown>, {
            id: '',
            signal: left.signal,
          })
        } catch (error) {
          connection.close()
          if (error instanceof LimitExceeded) return closeWebSocket(webSocket, 1013, error.line)
          if (!(error instanceof ListenqlError) || error.code !== CHANNELS_CHANGED.code) throw error
          const { code, reason } = closeOf(CHANNELS_CHANGED)
          closeWebSocket(webSocket, code, reason)
        }
      } finally {
        release() // the subscription holds the channel now
      }
    },
  }
}

class ListenClient extends SocketClient {
  override other(_subscriber: unknown, { text }: Frame): void {
    this.connection.close(text === GAP ? 'gap' : 'EVENT_TOO_LARGE')
    const farewell = FAREWELLS.get(text)
    if (farewell) closeWebSocket(this.webSocket, ...farewell)
  }

  override onExcess(excess: LimitExceeded): void {
    closeWebSocket(this.webSocket, 1013, excess.line)
  }

  override endViewer(error: ListenqlError): void {
    const { code, reason } = closeOf(error)
    closeWebSocket(this.webSocket, code, reason)
  }

  /** The protocol has no messages of clients. */
  protected override receive(): void {}
}

/**
 * Reads an upgraded socket until its handshake is answered: otherwise the end of the socket would go unnoticed.
 * @returns stops reading, and pauses the socket
 */
function noticeLeaving(socket: Duplex): () => void {
  const leave = () => void socket.destroy()
  const hear = (chunk: Buffer) => {
    stop()
    socket.unshift(chunk) // too early, but it may be a WebSocket frame
  }
  const stop = () => {
    socket.off('end', leave).off('data', hear)
    socket.pause()
  }
  socket.on('end', leave).on('data', hear)
  return stop
}

const PAYLOAD: Envelope = { before: () => '', after: '', isOther: ({ text }) => FAREWELLS.has(text) }

function payloads(source: EventSource<ChannelEvent>): SubscriptionRequest<ChannelEvent> {
  return {
    key: `listen ${source.topic.name}`,
    bytes: 0,
    source,
    render: ({ gap, payload, unreadable }) => {
      if (typeof unreadable === 'number') return TOO_LARGE
      // The protocol has no message for an unreadable payload, so it is reported as a gap.
      return gap || unreadable !== undefined ? GAP : (payload ?? '')
    },
    renderTooLarge: () => TOO_LARGE,
    renderEnd: () => GAP, // a channel never ends
    renew: () => undefined,
  }
}
