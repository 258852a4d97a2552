import type { ExecutionResult, GraphQLError } from 'graphql'
import { MessageType, parseMessage } from 'graphql-ws'
import { onlyNamesDocument } from '../../graphql/documents/document-names.js'
import { formatError, stringifyResult } from '../../graphql/result.js'
import { isRecord } from '../../lib/is-record.js'
import type { Envelope } from './sink.js'

/*
 * The messages of graphql-transport-ws (https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md) that do not pass through
 * graphql-ws as they are: those of the client are checked before it reads them, and those with results and positions are written
 * here. Positions are written as text, because V8 would keep a shape for each object with different keys.
 */

/** The envelope of an event. The frame that ends a subscription is another message, `error`. */
export const NEXT: Envelope = {
  before: ({ id }) => beforeNext(id),
  after: '}',
  isOther: frame => frame.isFinal,
}

/** The message with the result of a query or a mutation. */
export function nextMessage(id: string, result: ExecutionResult): string {
  return `${beforeNext(id)}${stringifyResult(result)}${NEXT.after}`
}

/** The message that ends a subscription with an error. */
export function errorMessage(id: string, error: GraphQLError): string {
  return JSON.stringify({ id, type: MessageType.Error, payload: [formatError(error)] })
}

function beforeNext(id: string): string {
  return `{"id":${JSON.stringify(id)},"type":"next","payload":`
}

/** The message with which a client completes an operation. */
export function completeMessage(id: string): string {
  return JSON.stringify({ id, type: MessageType.Complete })
}

/**
 * The ping with the positions of subscriptions: a client that reconnects resumes after them, however quiet its subscriptions were.
 * The protocol has no message for positions, but a ping may carry any payload, and every client answers it.
 * @param entries each made by `positionEntry`
 */
export function positionsMessage(entries: readonly string[]): string {
  return `{"type":"${MessageType.Ping}","payload":{"cursors":{${entries}}}}`
}

/** @param cursor everything up to it has been sent. Undefined: the position is unknown */
export function positionEntry(id: string, cursor: string | undefined): string {
  return `${JSON.stringify(id)}:${cursor === undefined ? null : `"${cursor}"`}`
}

/** A message that a client may send. */
export interface ClientMessage {
  readonly type: string
  readonly id?: string | undefined
  /** The text as graphql-ws expects it. */
  readonly text: string
}

/** @returns undefined if the text is not a message that a client may send */
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
 * graphql-ws closes the socket if there is no `query`. A client that names its document instead, by an id or a hash, gets a result
 * or an error of that operation; so the message gets an empty `query`.
 */
function withQuery(text: string): string | undefined {
  try {
    const message: unknown = JSON.parse(text)
    if (!isRecord(message) || message.type !== MessageType.Subscribe) return undefined
    const { payload } = message
    if (!isRecord(payload) || !onlyNamesDocument(payload)) return undefined
    return JSON.stringify({ ...message, payload: { ...payload, query: '' } })
  } catch {
    return undefined
  }
}
