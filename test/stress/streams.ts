import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { WebSocket } from 'ws'

export const TRANSPORTS = ['graphql-ws', 'SSE GET', 'SSE POST', 'multipart'] as const
export type Transport = (typeof TRANSPORTS)[number]

export interface StreamRequest {
  readonly url: string
  readonly query: string
  readonly variables: Readonly<Record<string, unknown>>
  readonly extensions?: Readonly<Record<string, unknown>> | undefined
  /** For `Authorization: Bearer`. Default: none */
  readonly token?: string | undefined
  /** Over SSE only. */
  readonly lastEventId?: string | undefined
  /** The authority that has signed the certificate of the server, PEM. Default: those that Node trusts */
  readonly ca?: string | undefined
}

export interface Result {
  readonly data?: { readonly it: Readonly<Record<string, unknown>> } | null
  readonly errors?: readonly { readonly message: string; readonly extensions?: { readonly code?: string } }[]
  readonly extensions?: { readonly cursor?: string }
}

export interface StreamEvents {
  result(result: Result): void
  /** A position that the transport sent outside of results. */
  position(cursor: string): void
}

/** A running subscription at the protocol level: nothing here reconnects, or judges what arrives. */
export interface Stream {
  /** Resolves with the reason why it ended; never rejects. */
  readonly ended: Promise<string>
  /** Destroys the connection. */
  drop(): void
  /** Pauses and resumes reading from the socket. */
  pause(): void
  resume(): void
}

export function openStream(transport: Transport, request: StreamRequest, events: StreamEvents): Stream {
  if (transport === 'graphql-ws') return overWebSocket(request, events)
  if (transport === 'multipart') {
    const accept = 'multipart/mixed;subscriptionSpec=1.0, application/json'
    return overHttp('POST', accept, request, text => takeParts(text, events))
  }
  const method = transport === 'SSE GET' ? 'GET' : 'POST'
  return overHttp(method, 'text/event-stream', request, text => takeBlocks(text, events))
}

function overWebSocket(
  { url, query, variables, extensions, token, ca }: StreamRequest,
  events: StreamEvents,
): Stream {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', { ca })
  const send = (message: object) => socket.send(JSON.stringify(message))
  let how = ''
  socket.on('open', () =>
    send({ type: 'connection_init', ...(token !== undefined && { payload: { authorization: token } }) }),
  )
  socket.on('message', data => {
    const message = JSON.parse(String(data))
    switch (message.type) {
      case 'connection_ack':
        return send({ type: 'subscribe', id: '1', payload: { query, variables, extensions } })
      case 'ping': {
        send({ type: 'pong' })
        const cursor = message.payload?.cursors?.['1']
        return typeof cursor === 'string' ? events.position(cursor) : undefined
      }
      case 'next':
        return events.result(message.payload)
      case 'error':
        events.result({ errors: message.payload })
        return socket.terminate()
      case 'complete':
        how = 'complete'
        return socket.terminate()
    }
  })
  const ended = new Promise<string>(resolve => {
    socket.on('error', error => resolve(error.message))
    socket.on('close', code => resolve(how || `closed ${code}`))
  })
  return {
    ended,
    drop: () => socket.terminate(),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
  }
}

/** @param take receives the text that has arrived and was not consumed, and returns the rest */
function overHttp(
  method: 'GET' | 'POST',
  accept: string,
  { url, query, variables, extensions, lastEventId, token, ca }: StreamRequest,
  take: (text: string) => string,
): Stream {
  const search = new URLSearchParams({ query, variables: JSON.stringify(variables) })
  if (extensions) search.set('extensions', JSON.stringify(extensions))
  const open = url.startsWith('https:') ? httpsRequest : httpRequest
  const request = open(method === 'GET' ? `${url}/graphql?${search}` : `${url}/graphql`, {
    method,
    agent: false,
    ca,
    headers: {
      accept,
      'content-type': 'application/json',
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(lastEventId !== undefined && { 'last-event-id': lastEventId }),
    },
  })
  let socketStream: { pause(): unknown; resume(): unknown } | undefined
  const ended = new Promise<string>(resolve => {
    request.on('error', error => resolve(error.message))
    request.on('close', () => resolve('closed'))
    request.on('response', response => {
      let rest = ''
      socketStream = response
      response.setEncoding('utf8')
      response.on('data', chunk => {
        rest += chunk
        if (response.statusCode === 200) rest = take(rest)
      })
      response.on('error', error => resolve(error.message))
      response.on('end', () =>
        resolve(response.statusCode === 200 ? 'complete' : `${response.statusCode} ${rest}`),
      )
    })
  })
  request.end(method === 'POST' ? JSON.stringify({ query, variables, extensions }) : undefined)
  return {
    ended,
    drop: () => void request.destroy(),
    pause: () => void socketStream?.pause(),
    resume: () => void socketStream?.resume(),
  }
}

function takeBlocks(text: string, events: StreamEvents): string {
  const blocks = text.split('\n\n')
  const rest = blocks.pop() ?? ''
  for (const block of blocks) {
    const fields = new Map(
      block.split('\n').map(line => /^(\w*):\s?(.*)$/.exec(line)?.slice(1, 3) as [string, string]),
    )
    if (fields.get('event') === 'next') events.result(JSON.parse(fields.get('data') ?? ''))
    const id = fields.get('id')
    if (id !== undefined) events.position(id)
  }
  return rest
}

function takeParts(text: string, events: StreamEvents): string {
  const parts = text.split('\r\n--graphql')
  const rest = parts.pop() ?? ''
  for (const part of parts) {
    const json = part.split('\r\n\r\n')[1]
    const payload = json === undefined ? undefined : JSON.parse(json).payload
    if (payload) events.result(payload)
  }
  return rest
}
