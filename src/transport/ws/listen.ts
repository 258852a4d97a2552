import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { AccessRules } from '../../auth/channel-rules.js'
import type { Viewer } from '../../auth/viewer.js'
import type { SubscriptionRequest } from '../../delivery/subscription.js'
import { ListenqlError } from '../../lib/errors.js'
import type { ClientMemory } from '../../lib/limits/client-memory.js'
import { LimitExceeded } from '../../lib/limits/limit-exceeded.js'
import type { ChannelEvent } from '../../sources/channels/channel-event.js'
import type { EventSource } from '../../sources/source.js'
import { type Admit, isRefused } from '../admission.js'
import { closeOf } from '../ends.js'
import { type Refusal, refuseUpgrade } from '../http/reply.js'
import { connectWebSocket, type WebSocketOptions } from './connect-web-socket.js'
import { countInbound } from './inbound.js'
import { closeWebSocket, type Envelope } from './sink.js'

// The protocol cannot express a gap or an error between payloads, so the server ends the connection instead and the client
// reconnects. No payload looks like these, since text in Postgres has no NUL.
const GAP = '\0gap'
const TOO_LARGE = '\0too large'
const FAREWELLS: ReadonlyMap<string, readonly [code: number, reason: string]> = new Map([
  [GAP, [1012, 'Notifications may have been missed: the database connection was lost']],
  [TOO_LARGE, [1009, 'EVENT_TOO_LARGE']],
])

export interface ListenOptions extends WebSocketOptions {
  readonly admit: Admit
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
    upgrade: () => Promise<WebSocket>,
  ): Promise<void>
}

export function createListen(options: ListenOptions): Listen {
  const { admit, rules, channelSource, connections, memory } = options
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
        const { connection } = connectWebSocket(options, {
          transport: 'listen',
          ...{ webSocket, request },
          envelope: PAYLOAD,
          onOther(_subscriber, { text }) {
            connection.close()
            const farewell = FAREWELLS.get(text)
            if (farewell) closeWebSocket(webSocket, ...farewell)
          },
        })
        left.signal.addEventListener('abort', () => connection.close(), { once: true })
        try {
          connection.serve(viewer, error => {
            const { code, reason } = closeOf(error)
            closeWebSocket(webSocket, code, reason)
          })
          countInbound({
            ...{ webSocket, socket, memory, owner: connection.owner },
            onExcess: excess => closeWebSocket(webSocket, 1013, excess.line),
          })
          await connection.subscribe(payloads(source) as SubscriptionRequest<unknown>, {
            id: '',
            signal: left.signal,
          })
        } catch (error) {
          connection.close()
          if (!(error instanceof LimitExceeded)) throw error
          closeWebSocket(webSocket, 1013, error.line)
        }
      } finally {
        release() // the subscription holds the channel now
      }
    },
  }
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
