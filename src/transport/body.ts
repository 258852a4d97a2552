import type { IncomingMessage } from 'node:http'

/**
 * Reads a request's body as text.
 * @param limit most that is taken, in bytes
 * @returns the text, or null if it is longer; then the rest is still on its way, so close the connection after answering
 */
export async function readBody(request: IncomingMessage, limit: number): Promise<string | null> {
  if (Number(request.headers['content-length'] ?? 0) > limit) return null
  const chunks: Buffer[] = []
  let size = 0
  // Leaving the loop may not destroy the request: its socket has to carry the answer.
  const body = request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>
  for await (const chunk of body) {
    size += chunk.length
    if (size > limit) return null
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
