import type { ServerResponse } from 'node:http'

/** Written at a time, in bytes: progress on a large answer shows between two pieces. */
const PIECE_BYTES = 64 * 1024

/**
 * Sends an answer as fast as its client takes it, and drops the connection if nothing moves for `stallTimeout` ms: a client that
 * asks and never reads would hold the answer for ever. Resolves once it has been sent, or is over.
 */
export async function replyPaced(
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: Buffer,
  stallTimeout: number,
): Promise<void> {
  if (isOver(response)) return
  response.writeHead(status, { ...headers, 'content-length': body.length })
  for (let at = 0; at < body.length && !isOver(response); at += PIECE_BYTES) {
    if (!response.write(body.subarray(at, at + PIECE_BYTES))) await moved(response, 'drain', stallTimeout)
  }
  if (isOver(response)) return
  const sent = moved(response, 'finish', stallTimeout)
  response.end()
  await sent
}

function moved(response: ServerResponse, event: 'drain' | 'finish', stallTimeout: number): Promise<void> {
  return new Promise(resolve => {
    const timer = setInterval(() => {
      // Behind another answer on the same connection (pipelining) it has no socket yet, and nobody can be blamed.
      if (response.socket) response.destroy()
      else if (isOver(response)) settle()
    }, stallTimeout)
    const settle = () => {
      clearInterval(timer)
      response.off(event, settle).off('close', settle)
      resolve()
    }
    response.on(event, settle).on('close', settle)
  })
}

/** Behind another answer (pipelining) a response never hears that the connection is gone. */
function isOver({ destroyed, req }: ServerResponse): boolean {
  return destroyed || req.socket.destroyed
}
