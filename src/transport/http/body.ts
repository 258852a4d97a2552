import type { IncomingMessage } from 'node:http'
import { pipeline, type Transform } from 'node:stream'
import { createGunzip, createInflate } from 'node:zlib'

/** The body of a request as text, or the reason why there is none. */
export type Body =
  | { readonly kind: 'text'; readonly text: string }
  /** It is longer than the limit; the rest may still be arriving, so close the connection after the response. */
  | { readonly kind: 'too-large' }
  /** It does not decode with its Content-Encoding; the rest may still be arriving. */
  | { readonly kind: 'corrupt' }
  /** Nothing of it has been read. */
  | { readonly kind: 'unknown-encoding' }

/**
 * The decoders of Content-Encoding (https://www.rfc-editor.org/rfc/rfc9110#section-8.4.1). Brotli is left out: its client chooses how
 * large a window the decoder holds, up to 16 MiB for each request, where these hold 32 KiB.
 */
const DECODERS: ReadonlyMap<string, () => Transform> = new Map([
  ['gzip', createGunzip],
  ['x-gzip', createGunzip],
  ['deflate', createInflate],
])
export const ENCODINGS = 'gzip, deflate'

/**
 * Reads a request's body, and decompresses it as it arrives.
 * @param limit most bytes that are accepted; for a compressed body both before and after decompression
 * @param onSize called with the number of decompressed bytes so far; if it throws, reading ends
 */
export async function readBody(
  request: IncomingMessage,
  limit: number,
  onSize: (bytes: number) => void = () => undefined,
): Promise<Body> {
  const encoding = request.headers['content-encoding']?.trim().toLowerCase() || 'identity'
  const createDecoder = encoding === 'identity' ? undefined : DECODERS.get(encoding)
  if (encoding !== 'identity' && !createDecoder) return { kind: 'unknown-encoding' }
  if (Number(request.headers['content-length'] ?? 0) > limit) return { kind: 'too-large' }
  const decoder = createDecoder?.()
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of decoder ? decode(request, decoder, limit) : bounded(request, limit)) {
      size += chunk.length
      onSize(size)
      chunks.push(chunk)
    }
  } catch (error) {
    if (error instanceof TooLarge) return { kind: 'too-large' }
    if (decoder?.errored && error === decoder.errored && !request.errored) return { kind: 'corrupt' }
    throw error
  }
  return { kind: 'text', text: Buffer.concat(chunks).toString('utf8') }
}

class TooLarge extends Error {}

async function* bounded(source: IncomingMessage | Transform, limit: number): AsyncGenerator<Buffer> {
  let size = 0
  // Leaving the loop must not destroy the request: its socket has to carry the response.
  const chunks = source.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>
  for await (const chunk of chunks) {
    size += chunk.length
    if (size > limit) throw new TooLarge()
    yield chunk
  }
}

/** A few bytes may decompress into very many: the decoder stops at the limit, and never runs far ahead of it. */
async function* decode(request: IncomingMessage, decoder: Transform, limit: number): AsyncGenerator<Buffer> {
  pipeline(bounded(request, limit), decoder, () => undefined) // errors surface in the loop below
  try {
    yield* bounded(decoder, limit)
  } finally {
    decoder.destroy()
  }
}
