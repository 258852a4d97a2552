import type { Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** How long a client may go on sending after the response, in ms. */
const DRAIN_MS = 1000

/**
 * The status for requests that Node's parser refuses, by error code (https://nodejs.org/api/http.html#event-clienterror).
 * Default: 400.
 */
const STATUS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: '413 Payload Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
}

/**
 * Answers requests that Node cannot parse, and reads on until the client has had time to read the response. Node itself destroys
 * the socket at once: unread bytes then turn the close into a reset, and many clients show that instead of the response
 * (https://www.rfc-editor.org/rfc/rfc9112#section-9.6).
 */
export function refuseMalformed(server: Server): void {
  const refused = new WeakSet<Socket>()
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    if (refused.has(socket)) return // the parser fails again for each later chunk
    refused.add(socket)
    // Node keeps the response of the previous request here, without a type.
    const { _httpMessage: response } = socket as unknown as { _httpMessage?: ServerResponse }
    if (error.code === 'ECONNRESET' || !socket.writable || response?.headersSent) return void socket.destroy()
    socket.end(`HTTP/1.1 ${STATUS[error.code ?? ''] ?? '400 Bad Request'}\r\nConnection: close\r\n\r\n`)
    const timer = setTimeout(() => socket.destroy(), DRAIN_MS)
    socket.once('close', () => clearTimeout(timer))
  })
}
