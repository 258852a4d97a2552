import { CloseCode, GRAPHQL_TRANSPORT_WS_PROTOCOL, handleProtocols } from 'graphql-ws'
import type { WebSocket } from 'ws'
import { isRecord } from '../../lib/is-record.js'
import { closeWebSocket } from './sink.js'

/** The sub-protocol of subscriptions-transport-ws. It has the name of the package that replaced it. */
const LEGACY_PROTOCOL = 'graphql-ws'

/** At most 123 bytes, so that it fits a close frame. */
const LEGACY_REASON = `Sub-protocol "${LEGACY_PROTOCOL}" (subscriptions-transport-ws) is not supported: use "${GRAPHQL_TRANSPORT_WS_PROTOCOL}"`
const UNKNOWN_REASON = `Subprotocol not acceptable: use "${GRAPHQL_TRANSPORT_WS_PROTOCOL}"`

/** How long to wait for a client's first message, so that its operations get an error, in ms. */
const FIRST_MESSAGE_MS = 1000
/** How long further messages are answered, in ms: a client sends all of them at once. */
const LINGER_MS = 100

/** Picks the sub-protocol, for ws. A legacy client gets its own, since its browser would not show it the reason otherwise. */
export function pickProtocol(offered: Set<string>): string | false {
  return handleProtocols(offered) || (offered.has(LEGACY_PROTOCOL) ? LEGACY_PROTOCOL : false)
}

/** Refuses a WebSocket of any other sub-protocol, or of none. @returns the reason, as its client gets it */
export function refuseProtocol(webSocket: WebSocket): string {
  if (webSocket.protocol === LEGACY_PROTOCOL) {
    refuseLegacy(webSocket)
    return LEGACY_REASON
  }
  closeWebSocket(webSocket, CloseCode.SubprotocolNotAcceptable, UNKNOWN_REASON)
  return UNKNOWN_REASON
}

/**
 * Refuses a client of subscriptions-transport-ws so that it notices
 * (https://github.com/apollographql/subscriptions-transport-ws/blob/master/PROTOCOL.md): it ignores close codes and reconnects for
 * ever, but it shows a `connection_error`, and the `error` of an operation, which it does not start again.
 */
function refuseLegacy(webSocket: WebSocket): void {
  const send = (message: object) => webSocket.send(JSON.stringify(message))
  const close = () => closeWebSocket(webSocket, CloseCode.SubprotocolNotAcceptable, LEGACY_REASON)
  let timer = setTimeout(close, FIRST_MESSAGE_MS)
  webSocket.on('message', data => {
    if (webSocket.readyState !== webSocket.OPEN) return
    const message = parse(String(data))
    const payload = { message: LEGACY_REASON }
    if (message.type === 'connection_init') send({ type: 'connection_error', payload })
    if (message.type === 'start') send({ type: 'error', id: message.id, payload })
  })
  webSocket.once('message', () => {
    clearTimeout(timer)
    timer = setTimeout(close, LINGER_MS)
  })
  webSocket.once('close', () => clearTimeout(timer))
}

function parse(text: string): Record<string, unknown> {
  try {
    const message: unknown = JSON.parse(text)
    return isRecord(message) ? message : {}
  } catch {
    return {}
  }
}
