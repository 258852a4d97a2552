import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'

const DROPPED = new Set(['connection', 'keep-alive', 'upgrade', 'http2-settings'])

/**
 * Answers a request that offers an upgrade to something else than a WebSocket as if it had not offered it: a server may ignore
 * the offer (https://www.rfc-editor.org/rfc/rfc9110#section-7.8). Java's HttpClient and `curl --http2` offer h2c with every
 * request. Node emits `upgrade` for all of them and drops its parser, so the request is put back, without the offer, for a new
 * parser. The connection closes after the response: Node cannot do this twice with a socket.
 */
export function ignoreUpgrade(server: Server, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`]
  for (let i = 0; i < request.rawHeaders.length; i += 2) {
    const name = request.rawHeaders[i] as string
    if (DROPPED.has(name.toLowerCase())) continue
    lines.push(`${name}: ${request.rawHeaders[i + 1]}`)
  }
  lines.push('Connection: close')
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]))
  server.emit('connection', socket)
}
