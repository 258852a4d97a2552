import { WebSocket } from 'ws'
import { GRAPHQL_TRANSPORTS, type TestSubscription } from './clients.js'
import { Inbox } from './inbox.js'

/** The result of a viewer's attempt to listen to a channel. */
export type Attempt =
  | { readonly kind: 'open'; readonly subscription: TestSubscription }
  /** The attempt is refused: `code` is the HTTP status or the close code of a WebSocket. */
  | { readonly kind: 'refused'; readonly code: number; readonly text: string }

export interface ViewerTransport {
  readonly name: string
  /** The code for an invalid token. */
  readonly unauthenticated: number
  /** The code for a role without the permission. */
  readonly forbidden: number
  /** The code for a temporary failure. */
  readonly unavailable: number
  /** The end of a stream whose viewer has expired, and whether an error precedes it. */
  readonly over: { readonly end: string; readonly hasError: boolean }
  listen(url: string, channel: string, token: string | undefined): Promise<Attempt>
}

const CHANNEL = 'subscription ($name: String!) { channel(name: $name) { payload gap } }'

function overGraphql(name: string): ViewerTransport['listen'] {
  const subscribe = GRAPHQL_TRANSPORTS[name]
  if (!subscribe) throw new Error(name)
  return async (url, channel, token) => {
    try {
      const subscription = await subscribe(url, CHANNEL, { name: channel }, { token })
      if (name !== 'graphql-ws') return { kind: 'open', subscription }
      const ended = await Promise.race([
        subscription.ended,
        new Promise<undefined>(done => setImmediate(() => done(undefined))),
      ])
      // A client without subscriptions closes its socket by itself.
      return !(Number(ended) > 1010)
        ? { kind: 'open', subscription }
        : { kind: 'refused', code: Number(ended), text: '' }
    } catch (error) {
      const [, code, text = ''] = /^(\d{3}) (.*)$/s.exec((error as Error).message) ?? []
      if (code === undefined) throw error
      return { kind: 'refused', code: Number(code), text }
    }
  }
}

/** A browser cannot set a header for a WebSocket, so the token is in the URL. */
async function overListen(url: string, channel: string, token: string | undefined): Promise<Attempt> {
  const query = token === undefined ? '' : `?${new URLSearchParams({ access_token: token })}`
  const target = `${url.replace('http', 'ws')}/listen/${encodeURIComponent(channel)}${query}`
  const webSocket = new WebSocket(target)
  const results = new Inbox<Record<string, unknown>>()
  webSocket.on('message', data => results.push({ payload: String(data) }))
  const ended = new Promise<string>(resolve => webSocket.once('close', code => resolve(String(code))))
  return new Promise((resolve, reject) => {
    webSocket.once('open', () =>
      resolve({ kind: 'open', subscription: { results, ended, close: () => webSocket.close() } }),
    )
    webSocket.on('error', reject)
    webSocket.once('unexpected-response', (_request, response) => {
      let text = ''
      response.on('data', chunk => {
        text += chunk
      })
      response.on('end', () => resolve({ kind: 'refused', code: response.statusCode ?? 0, text }))
    })
  })
}

const http = (name: string): ViewerTransport => ({
  name,
  unauthenticated: 401,
  forbidden: 403,
  unavailable: 503,
  over: { end: 'complete', hasError: true },
  listen: overGraphql(name),
})

/** Every transport, as a viewer with a token uses it. */
export const VIEWER_TRANSPORTS: readonly ViewerTransport[] = [
  {
    name: 'graphql-ws',
    unauthenticated: 4401,
    forbidden: 4403,
    unavailable: 1013,
    over: { end: '4403', hasError: false },
    listen: overGraphql('graphql-ws'),
  },
  http('SSE GET'),
  http('SSE POST'),
  http('multipart'),
  {
    name: '/listen',
    unauthenticated: 401,
    forbidden: 403,
    unavailable: 503,
    over: { end: '4403', hasError: false },
    listen: overListen,
  },
]
