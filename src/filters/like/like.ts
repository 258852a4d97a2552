import type { Work } from '../work.js'
import { type Find, findByStart, findText, UNITS_PER_STEP } from './find-text.js'
import { findWithGaps } from './find-with-gaps.js'

/** @throws LimitExceeded if it exceeds the limit of work */
export type Like = (text: string, work: Work) => boolean

/**
 * Matches like LIKE: `%` is any text, `_` one code point, and a backslash escapes the next character. The piece between two `%` is
 * searched once, from where the previous one ends: its first occurrence is the best, since each piece has a fixed number of code
 * points. So the text is scanned once, however many `%` there are; only a piece with `_` between other characters takes more than
 * a step for a code point: one for each 32 of the piece.
 * @returns undefined if the pattern ends in a lone backslash, which Postgres refuses.
 */
export function compileLike(pattern: string): Like | undefined {
  const pieces = split(pattern)
  const first = pieces?.[0]
  if (!pieces || !first) return
  if (pieces.length === 1) {
    return (text, work) => {
      work.take(1 + pattern.length / UNITS_PER_STEP)
      return matchAt(first, text, 0) === text.length
    }
  }
  const last = pieces[pieces.length - 1]!
  const middle = pieces
    .slice(1, -1)
    .filter(piece => piece.length > 0)
    .map(findPiece)
  return (text, work) => {
    work.take(1 + pattern.length / UNITS_PER_STEP)
    // Both ends first: they take no more steps than the pattern is long.
    const end = matchEnd(last, text)
    let at = end < 0 ? -1 : matchAt(first, text, 0)
    for (const find of middle) {
      if (at < 0) return false
      at = find(text, at, work)
    }
    return at >= 0 && end >= at
  }
}

/** The part between two `%`: texts, and `null` for one code point. */
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

/** Finds a piece: `_` at its beginning or end needs no search. */
function findPiece(piece: Piece): Find {
  const start = piece.findIndex(part => part !== null)
  if (start < 0) return (text, from, work) => skip(text, from, piece.length, work)
  const end = piece.findLastIndex(part => part !== null) + 1
  const find = findCore(piece.slice(start, end))
  if (start === 0 && end === piece.length) return find
  return (text, from, work) => {
    const begin = skip(text, from, start, work)
    const found = begin < 0 ? -1 : find(text, begin, work)
    return found < 0 ? -1 : skip(text, found, piece.length - end, work)
  }
}

/** @param core begins and ends with a text */
function findCore(core: Piece): Find {
  const [first] = core
  if (typeof first !== 'string') throw new TypeError('a pattern was split wrongly')
  if (core.length === 1) return findText(first)
  const length = core.reduce((sum, part) => sum + (part === null ? 1 : codePointsOf(part).length), 0)
  const inOnePass = findWithGaps(length, () =>
    core.flatMap(part => (part === null ? [null] : codePointsOf(part))),
  )
  const size = core.length + length / UNITS_PER_STEP
  return findByStart(first, size, (text, at) => matchAt(core, text, at), inOnePass)
}

function codePointsOf(text: string): number[] {
  return Array.from(text, character => character.codePointAt(0) as number)
}

/** The index after `count` code points from `from`; -1 if there are fewer. */
function skip(text: string, from: number, count: number, work: Work): number {
  let at = from
  work.take(count)
  for (let i = 0; i < count; i++) {
    if (at >= text.length) return -1
    at += sizeAt(text, at)
  }
  return at
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

/** UTF-16 units of the code point at `at`. */
function sizeAt(text: string, at: number): 1 | 2 {
  return (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1
}

/** Lower case of A to Z only, like lower() under COLLATE "C". */
export function foldCase(text: string): string {
  return /[A-Z]/.test(text) ? text.replace(/[A-Z]+/g, letters => letters.toLowerCase()) : text
}
