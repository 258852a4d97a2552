import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'

const DROPPED = new Set(['connection', 'keep-alive', 'upgrade', 'http2-settings'])

/**
 * Answers a request that offers to upgrade to something else than a WebSocket as if it had not offered: a server may ignore
 * the offer (https://www.rfc-editor.org/rfc/rfc9110#section-7.8). Java's HttpClient and `curl --http2` offer h2c with every
 * request. Node hands all of them to `upgrade`, with its parser gone; so the request is put back, without the offer, for a
 * new one. The connection ends with the answer: Node cannot take a socket back twice.
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
