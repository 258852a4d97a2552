import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { LOOPBACK_NAMES } from '../limits/origins.js'
import { acceptsOpenMetrics } from './accept.js'
import { type AnswerHealth, replyHealth } from './health.js'
import { replyJson, replyText } from './reply.js'

/** What operators and their programs read of a server. */
export interface InspectionSource {
  /** All metrics as text, with its media type. */
  metrics(isOpenMetrics: boolean): Promise<{ readonly type: string; readonly text: string }>
  /** The state of the server, for JSON. */
  status(): Promise<unknown>
}

export interface Inspection {
  /** Answers `/metrics` and `/status`, and returns true; false, untouched, for any other path. */
  handle(request: IncomingMessage, response: ServerResponse, path: string): boolean
}

export interface InspectionListenerOptions {
  readonly inspection: Inspection
  readonly health: AnswerHealth
  /** See Origins: any page can make its own name resolve to 127.0.0.1 (DNS rebinding). */
  readonly isHostAllowed: (request: IncomingMessage) => boolean
}

/** @param onFault receives the error of a request that could not be answered */
export function createInspection(source: InspectionSource, onFault: (error: unknown) => void): Inspection {
  async function answer(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    if (path === '/status') return replyJson(response, 200, await source.status())
    const { type, text } = await source.metrics(acceptsOpenMetrics(request.headers.accept))
    response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store', vary: 'accept' })
    response.end(text)
  }
  return {
    handle(request, response, path) {
      if (path !== '/metrics' && path !== '/status') return false
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        replyText(response, 405, 'Use GET here.\n', { allow: 'GET, HEAD' })
        return true
      }
      answer(request, response, path).catch((error: unknown) => {
        onFault(error)
        if (response.headersSent) response.destroy()
        else replyText(response, 500, 'Internal server error\n')
      })
      return true
    },
  }
}

/** The same for the port of clients: requests that a proxy has passed on are not answered, since they may come from the network. */
export function forThisMachine(inspection: Inspection): Inspection {
  return {
    handle: (request, response, path) => isDirect(request) && inspection.handle(request, response, path),
  }
}

/** All requests of the metrics port. */
export function createInspectionListener({
  inspection,
  health,
  isHostAllowed,
}: InspectionListenerOptions): RequestListener {
  return (request, response) => {
    if (!isHostAllowed(request))
      return replyText(response, 421, 'This server does not answer to that name.\n')
    const [path = '', search] = request.url?.split('?') ?? []
    if (inspection.handle(request, response, path)) return
    const state = health(path, new URLSearchParams(search).has('deep'))
    if (state) return void answerHealth(request, response, state)
    replyText(response, 404, 'not found; this port has /metrics, /status, /healthz and /readyz\n')
  }
}

/** Headers that proxies add to the requests that they pass on. */
const OF_PROXIES = [
  'forwarded',
  'via',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-real-ip',
]

function isDirect({ headers, httpVersion }: IncomingMessage): boolean {
  // Unless told otherwise, nginx adds no header, names the server's address as the host, and speaks HTTP/1.0. For WebSockets it is told
  // to send `Connection: upgrade`, which it sends with other requests as well.
  if (httpVersion === '1.0' || /\bupgrade\b/i.test(headers.connection ?? '')) return false
  const url = `http://${headers.host}`
  const name = URL.canParse(url) ? new URL(url).hostname : ''
  return LOOPBACK_NAMES.includes(name) && OF_PROXIES.every(header => headers[header] === undefined)
}

async function answerHealth(
  request: IncomingMessage,
  response: ServerResponse,
  state: NonNullable<ReturnType<AnswerHealth>>,
): Promise<void> {
  try {
    replyHealth(request, response, await state)
  } catch {
    replyText(response, 500, 'Internal server error\n')
  }
}
