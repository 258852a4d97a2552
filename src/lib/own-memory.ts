/**
 * The same bytes in memory of their own. Node takes small buffers from pools of 8 KiB (`Buffer.poolSize`), so that one that is kept for long
 * keeps 8 KiB alive. https://nodejs.org/api/buffer.html#static-method-bufferallocunsafeslowsize
 */
export function inOwnMemory(bytes: Buffer): Buffer {
  if (bytes.buffer.byteLength === bytes.length) return bytes
  const own = Buffer.allocUnsafeSlow(bytes.length)
  own.set(bytes)
  return own
}
