/** A member of a row image as bytes, in the encoding of the database, in which only ASCII bytes have the highest bit clear. */
export interface ImageMember {
  /** The name as a JSON string, with its quotes. */
  readonly name: Buffer
  /** The value as JSON; or only its size as text in bytes, if it is too large to keep: of a string without quotes and escapes. */
  readonly value: Buffer | number
}

/** Splits an image into its members, piece by piece, at any size and with any bytes in its values. */
export interface ImageSifter {
  push(piece: Buffer): void
  /** @throws SyntaxError if the pieces are not a complete JSON object */
  end(): readonly ImageMember[]
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const LETTER_U = 0x75

/** @param maxValue size of a value in bytes beyond which its bytes are dropped as they arrive */
export function createImageSifter(maxValue: number): ImageSifter {
  const members: ImageMember[] = []
  let place: 'before' | 'name' | 'value' | 'after' = 'before'
  let depth = 0
  let isInString = false
  let isEscaped = false
  let name: Buffer = Buffer.alloc(0)
  /** Pieces of the present name or value, and their size. */
  let pieces: Buffer[] = []
  let size = 0
  /** Bytes of the present value that are not in its text, if it is a string. */
  let markup = 0

  function keep(piece: Buffer): void {
    size += piece.length
    if (size > maxValue && place === 'value') pieces = []
    else if (piece.length > 0) pieces.push(Buffer.from(piece)) // a copy, so that a large piece can be freed
  }

  function finish(): void {
    const value = size > maxValue ? size - markup : trim(Buffer.concat(pieces))
    if (typeof value !== 'number' && value.length === 0)
      throw new SyntaxError('a value is missing in a row image')
    members.push({ name, value })
  }

  function begin(next: typeof place): void {
    place = next
    pieces = []
    size = 0
    markup = 0
  }

  return {
    push(piece) {
      let from = 0
      for (let at = 0; at < piece.length; at++) {
        const byte = piece[at] as number
        if (isInString) {
          if (isEscaped) {
            isEscaped = false
            if (depth === 1) markup += byte === LETTER_U ? 5 : 1
          } else if (byte === BACKSLASH) isEscaped = true
          else if (byte === QUOTE) isInString = false
        } else if (byte === QUOTE) {
          isInString = true
          if (depth === 1) markup += 2
        } else if (byte === 0x7b || byte === 0x5b) {
          if (++depth === 1) {
            from = at + 1
            begin('name')
          }
        } else if (byte === 0x7d || byte === 0x5d) {
          if (--depth === 0) {
            keep(piece.subarray(from, at))
            if (place === 'name' && trim(Buffer.concat(pieces)).length > 0)
              throw new SyntaxError('a colon is missing in a row image')
            if (place === 'value') finish()
            begin('after')
          }
        } else if (depth === 1 && byte === COLON && place === 'name') {
          keep(piece.subarray(from, at))
          name = trim(Buffer.concat(pieces))
          from = at + 1
          begin('value')
        } else if (depth === 1 && byte === COMMA) {
          if (place !== 'value') throw new SyntaxError('a value is missing in a row image')
          keep(piece.subarray(from, at))
          finish()
          from = at + 1
          begin('name')
        }
      }
      if (place === 'name' || place === 'value') keep(piece.subarray(from))
    },
    end() {
      if (place !== 'after') throw new SyntaxError('a row image has no end')
      return members
    },
  }
}

function trim(bytes: Buffer): Buffer {
  let from = 0
  let to = bytes.length
  while (from < to && (bytes[from] as number) <= 0x20) from++
  while (to > from && (bytes[to - 1] as number) <= 0x20) to--
  return bytes.subarray(from, to)
}
