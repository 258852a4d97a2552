import type { ServerResponse } from 'node:http'

/** Bytes written at a time: between two pieces of a large response its progress is visible. */
const PIECE_BYTES = 64 * 1024

/**
 * Sends a response as fast as its client reads it, and drops the connection after `stallTimeout` ms without progress: a client that
 * never reads would hold the response in memory for ever. Resolves once it has been sent, or the connection is gone.
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
      // A response that is queued after another one on its connection (pipelining) has no socket yet, and cannot be stalled.
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

/** A response that is queued after another one (pipelining) gets no event when the connection closes. */
function isOver({ destroyed, req }: ServerResponse): boolean {
  return destroyed || req.socket.destroyed
}
