import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  timingSafeEqual,
} from 'node:crypto'
import type { Position } from './position.js'

/** Length of an encrypted cursor in characters. Every plain cursor is shorter. */
export const CIPHER_CHARACTERS = 60

const TAG_BYTES = 16
/** Bytes of an encoded position. All have the same length, because a varying length would reveal how large the numbers are. */
const PLAIN_BYTES = 29

/** Encrypts positions as cursors, and decrypts them. */
export interface CursorCipher {
  encrypt(position: Position): string
  /** Undefined: the cursor was not made with this key, or was altered. */
  decrypt(cursor: string): Position | undefined
}

/**
 * Deterministic authenticated encryption as in SIV (https://www.rfc-editor.org/rfc/rfc5297, with HMAC-SHA-256 instead of CMAC):
 * the authentication tag of the position is the initialization vector of its encryption. So all servers that have the key produce
 * the same cursor for a position, and two cursors reveal only whether their positions are equal.
 *
 * Measured: 6 µs per cursor (plain: 2.5 µs), once per event. `createCursors` caches it (0.02 µs) for further groups and formats.
 */
export function createCursorCipher(key: Uint8Array): CursorCipher {
  const derive = (purpose: string) =>
    createSecretKey(Buffer.from(hkdfSync('sha256', key, '', `listenql cursor ${purpose}`, 32)))
  const forTags = derive('tag')
  const forText = derive('text')
  const tagOf = (plain: Buffer) => createHmac('sha256', forTags).update(plain).digest().subarray(0, TAG_BYTES)

  return {
    encrypt(position) {
      const plain = toBytes(position)
      const tag = tagOf(plain)
      const text = createCipheriv('aes-256-ctr', forText, tag).update(plain)
      return Buffer.concat([tag, text]).toString('base64url')
    },
    decrypt(cursor) {
      // 60 base64url characters are exactly 45 bytes, so each position has exactly one text.
      if (cursor.length !== CIPHER_CHARACTERS || !/^[\w-]+$/.test(cursor)) return undefined
      const bytes = Buffer.from(cursor, 'base64url')
      const tag = bytes.subarray(0, TAG_BYTES)
      const plain = createDecipheriv('aes-256-ctr', forText, tag).update(bytes.subarray(TAG_BYTES))
      return timingSafeEqual(tagOf(plain), tag) ? toPosition(plain) : undefined
    },
  }
}

/** Batch, token and id have up to 53 bits; `ord` and `statement` are int4. */
function toBytes({ n, token, ord, statement, id }: Position): Buffer {
  const bytes = Buffer.allocUnsafe(PLAIN_BYTES)
  let offset = 0
  for (const value of [n, token, id]) {
    offset = bytes.writeUIntBE(Math.floor(value / 2 ** 32), offset, 3)
    offset = bytes.writeUInt32BE(value % 2 ** 32, offset)
  }
  offset = bytes.writeUInt32BE(ord, offset)
  bytes.writeUInt32BE(statement, offset)
  return bytes
}

function toPosition(bytes: Buffer): Position {
  const long = (offset: number) => bytes.readUIntBE(offset, 3) * 2 ** 32 + bytes.readUInt32BE(offset + 3)
  return {
    n: long(0),
    token: long(7),
    ord: bytes.readUInt32BE(21),
    statement: bytes.readUInt32BE(25),
    id: long(14),
  }
}
