/** First byte of a frame that is a whole text message: FIN and opcode 1 (https://www.rfc-editor.org/rfc/rfc6455#section-5.2). */
const TEXT = 0x81

/** Size of the header of a server's message, which is not masked, in bytes. */
export function headerSize(payload: number): number {
  return payload < 126 ? 2 : payload < 65_536 ? 4 : 10
}

/** Writes the header of a whole text message with this many bytes. @returns where the payload starts */
export function writeHeader(into: Buffer, offset: number, payload: number): number {
  into[offset] = TEXT
  if (payload < 126) {
    into[offset + 1] = payload
    return offset + 2
  }
  if (payload < 65_536) {
    into[offset + 1] = 126
    return into.writeUInt16BE(payload, offset + 2)
  }
  into[offset + 1] = 127
  return into.writeBigUInt64BE(BigInt(payload), offset + 2)
}

/** A whole text message as it goes over the wire. */
export function textFrame(text: string): Buffer {
  const size = Buffer.byteLength(text)
  const frame = Buffer.allocUnsafe(headerSize(size) + size)
  frame.write(text, writeHeader(frame, 0, size))
  return frame
}
