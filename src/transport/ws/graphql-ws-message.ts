import { MessageType, parseMessage } from 'graphql-ws'
import { isHashed } from '../../graphql/persisted-query.js'
import { isRecord } from '../../lib/is-record.js'

/** A message that a client may send. */
export interface ClientMessage {
  /** Its `type`, and its `id` if it has one. */
  readonly type: string
  readonly id?: string | undefined
  /** As graphql-ws expects it. */
  readonly text: string
}

/** @returns undefined if it is not a message that a client may send */
export function readMessage(text: string): ClientMessage | undefined {
  return parse(text) ?? parse(withQuery(text))
}

function parse(text: string | undefined): ClientMessage | undefined {
  if (text === undefined) return undefined
  try {
    const message = parseMessage(text)
    const { type } = message
    const isServers =
      type === MessageType.ConnectionAck || type === MessageType.Next || type === MessageType.Error
    return isServers ? undefined : { type, id: 'id' in message ? message.id : undefined, text }
  } catch {
    return undefined
  }
}

/**
 * graphql-ws closes the socket if there is no `query`. A client that sends a hash instead should get an error of that operation, which
 * asks for the document; so the message gets an empty `query`.
 */
function withQuery(text: string): string | undefined {
  try {
    const message: unknown = JSON.parse(text)
    if (!isRecord(message) || message.type !== MessageType.Subscribe) return undefined
    const { payload } = message
    if (!isRecord(payload) || !isHashed(payload.query, payload.extensions)) return undefined
    return JSON.stringify({ ...message, payload: { ...payload, query: '' } })
  } catch {
    return undefined
  }
}
