/**
 * Matches as LIKE does, in time of the order of text times pattern, whatever the pattern (a regular expression could take
 * forever on `%a%a%a%a%`). `%` is any text, `_` one code point, and a backslash takes the next character as it is.
 * @returns undefined if the pattern ends in a lone backslash, which Postgres refuses.
 */
export function compileLike(pattern: string): ((text: string) => boolean) | undefined {
  const pieces = split(pattern)
  const first = pieces?.[0]
  if (!pieces || !first) return
  if (pieces.length === 1) return text => matchAt(first, text, 0) === text.length
  const last = pieces[pieces.length - 1]!
  const middle = pieces.slice(1, -1).filter(piece => piece.length > 0)
  return text => {
    let at = matchAt(first, text, 0)
    for (const piece of middle) {
      if (at < 0) return false
      at = find(piece, text, at)
    }
    return at >= 0 && matchEnd(last, text) >= at
  }
}

/** What lies between two `%`: texts, and `null` for one code point. */
type Piece = readonly (string | null)[]

function split(pattern: string): readonly Piece[] | undefined {
  let piece: (string | null)[] = []
  const pieces = [piece]
  let text = ''
  function endText(): void {
    if (text !== '') piece.push(text)
    text = ''
  }
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i]
    if (char === '\\') {
      i++
      if (i === pattern.length) return
      text += pattern[i]
    } else if (char === '_') {
      endText()
      piece.push(null)
    } else if (char === '%') {
      endText()
      piece = []
      pieces.push(piece)
    } else text += char
  }
  endText()
  return pieces
}

/** Where a match that starts at `from` ends; -1 if there is none. */
function matchAt(piece: Piece, text: string, from: number): number {
  let at = from
  for (const part of piece) {
    if (part === null) {
      if (at >= text.length) return -1
      at += sizeAt(text, at)
    } else {
      if (!text.startsWith(part, at)) return -1
      at += part.length
    }
  }
  return at
}

/** Where a match that ends with the text starts; -1 if there is none. */
function matchEnd(piece: Piece, text: string): number {
  let at = text.length
  for (let i = piece.length - 1; i >= 0; i--) {
    const part = piece[i]
    if (typeof part === 'string') {
      if (!text.endsWith(part, at)) return -1
      at -= part.length
    } else {
      if (at === 0) return -1
      at -= at > 1 && sizeAt(text, at - 2) === 2 ? 2 : 1
    }
  }
  return at
}

/** Where the leftmost match from `from` on ends; -1 if there is none. Leftmost is best: what follows has most left. */
function find(piece: Piece, text: string, from: number): number {
  const [first] = piece
  for (let at = from; at <= text.length; at += sizeAt(text, at)) {
    if (typeof first === 'string') {
      at = text.indexOf(first, at)
      if (at < 0) return -1
    }
    const end = matchAt(piece, text, at)
    if (end >= 0) return end
  }
  return -1
}

/** UTF-16 units of the code point at `at`. */
function sizeAt(text: string, at: number): 1 | 2 {
  return (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1
}

/** Lower case of A to Z alone, as lower() does under COLLATE "C". */
export function foldCase(text: string): string {
  return /[A-Z]/.test(text) ? text.replace(/[A-Z]+/g, letters => letters.toLowerCase()) : text
}
