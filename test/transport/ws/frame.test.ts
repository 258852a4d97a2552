import { describe, expect, it } from 'vitest'
import { headerSize, textFrame, writeHeader } from '../../../src/transport/ws/frame.js'

/** Decodes a frame as RFC 6455, section 5.2, defines it. */
function readFrame(frame: Buffer) {
  const length = (frame[1] as number) & 0x7f
  const [size, start] =
    length === 127
      ? [Number(frame.readBigUInt64BE(2)), 10]
      : length === 126
        ? [frame.readUInt16BE(2), 4]
        : [length, 2]
  return {
    isWholeText: frame[0] === 0x81,
    isMasked: ((frame[1] as number) & 0x80) > 0,
    size,
    text: frame.subarray(start).toString(),
  }
}

describe('a text message', () => {
  it.each([0, 1, 125, 126, 127, 65_535, 65_536, 70_000])('can have %i bytes', size => {
    const text = 'x'.repeat(size)
    expect(readFrame(textFrame(text))).toEqual({ isWholeText: true, isMasked: false, size, text })
  })

  it('states its length in bytes, not in characters', () => {
    const text = '🐘'.repeat(32)
    expect(readFrame(textFrame(text))).toMatchObject({ size: 128, text })
  })

  it('can be written at any offset of a buffer', () => {
    for (const size of [3, 300, 70_000]) {
      const into = Buffer.alloc(20)
      expect(writeHeader(into, 5, size)).toBe(5 + headerSize(size))
      expect(readFrame(into.subarray(5)).size).toBe(size)
      expect(into.subarray(0, 5)).toEqual(Buffer.alloc(5))
    }
  })
})
