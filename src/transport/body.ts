import type { IncomingMessage } from 'node:http'

/**
 * Reads a request's body as text.
 * @param limit most that is taken, in bytes
 * @param onSize told how many bytes have come so far; what it throws ends reading
 * @returns the text, or null if it is longer; then, or if it throws, the rest is still on its way, so close the connection
 * after answering
 */
export async function readBody(
  request: IncomingMessage,
  limit: number,
  onSize: (bytes: number) => void = () => undefined,
): Promise<string | null> {
  if (Number(request.headers['content-length'] ?? 0) > limit) return null
  const chunks: Buffer[] = []
  let size = 0
  // Leaving the loop may not destroy the request: its socket has to carry the answer.
  const body = request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>
  for await (const chunk of body) {
    size += chunk.length
    if (size > limit) return null
    onSize(size)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
