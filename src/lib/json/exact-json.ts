/**
 * JSON whose numbers keep their digits. JavaScript keeps only 15 to 17 of them, and turns 1e400 into `null`: two ids beyond 2^53
 * could become equal.
 */

import { type Decimal, decimalOf, isExactNumber } from './decimal-text.js'

/** A number of a JSON text that JavaScript would write differently. */
export class ExactNumber {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  /** The original text: `9007199254740993`, `1.0`, `1e400`. */
  get text(): string {
    return this.#text
  }

  /** The nearest number in JavaScript, which may be Infinity. */
  get nearest(): number {
    return Number(this.#text)
  }

  /** The same text for equal values: as JavaScript writes it, if that is the same value (`1` for 1.0), else with all its digits. */
  get canonical(): string {
    if (isExactNumber(this.#text)) return String(this.nearest + 0) // -0 is 0
    return plain(decimalOf(this.#text))
  }

  /** Makes JSON.stringify write a string with all digits, where it cannot write the number itself. */
  toJSON(): string {
    return this.#text
  }
}

/** Most zeros that are written at the end of a number. */
const MAX_ZEROS = 40

/** In JavaScript's format: plain, unless that needs many zeros. */
function plain({ sign, digits, exponent }: Decimal): string {
  if (digits === '') return '0'
  const point = digits.length + exponent
  if (exponent >= 0 && exponent <= MAX_ZEROS) return sign + digits + '0'.repeat(exponent)
  if (exponent < 0 && point > 0) return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`
  if (exponent < 0 && point > -6) return `${sign}0.${'0'.repeat(-point)}${digits}`
  const rest = digits.length > 1 ? `.${digits.slice(1)}` : ''
  return `${sign}${digits[0]}${rest}e${point > 0 ? '+' : ''}${point - 1}`
}

const SPACE = /[ \t\n\r]*/y
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const STRING = /"(?:[^"\\]|\\.)*"/y // JSON.parse checks its contents
const WORDS: readonly (readonly [string, unknown])[] = [
  ['true', true],
  ['false', false],
  ['null', null],
]

/** Deepest nesting; a deeper text is refused before the stack overflows. */
const MAX_DEPTH = 1000

/**
 * Like JSON.parse, but a number that JavaScript would write differently is an ExactNumber. Of members with the same name the last
 * one counts.
 * @throws SyntaxError
 */
export function parseExactJson(text: string): unknown {
  let at = 0

  function fail(): never {
    throw new SyntaxError(`JSON is malformed at character ${at}`)
  }
  function take(pattern: RegExp): string | undefined {
    pattern.lastIndex = at
    const [found] = pattern.exec(text) ?? []
    if (found !== undefined) at += found.length
    return found
  }
  function isNext(character: string): boolean {
    take(SPACE)
    if (text[at] !== character) return false
    at++
    return true
  }
  function members(depth: number): Record<string, unknown> {
    const entries = new Map<string, unknown>()
    if (isNext('}')) return {}
    do {
      take(SPACE)
      const name = take(STRING) ?? fail()
      if (!isNext(':')) fail()
      entries.set(JSON.parse(name) as string, value(depth))
    } while (isNext(','))
    return isNext('}') ? Object.fromEntries(entries) : fail()
  }
  function items(depth: number): unknown[] {
    const all: unknown[] = []
    if (isNext(']')) return all
    do all.push(value(depth))
    while (isNext(','))
    return isNext(']') ? all : fail()
  }
  function value(depth: number): unknown {
    if (depth > MAX_DEPTH) fail()
    if (isNext('{')) return members(depth + 1)
    if (isNext('[')) return items(depth + 1)
    const string = take(STRING)
    if (string !== undefined) return JSON.parse(string)
    const number = take(NUMBER)
    if (number !== undefined)
      return String(Number(number)) === number ? Number(number) : new ExactNumber(number)
    for (const [word, means] of WORDS) {
      if (!text.startsWith(word, at)) continue
      at += word.length
      return means
    }
    return fail()
  }

  const all = value(0)
  take(SPACE)
  return at === text.length ? all : fail()
}

/**
 * Like JSON.stringify, with all digits of ExactNumbers and bigints.
 * @param isSorted gives equal values equal texts, whatever the order of an object's keys
 */
export function stringifyExactJson(value: unknown, isSorted = false): string {
  return write(value) ?? 'null'

  function write(one: unknown): string | undefined {
    if (one instanceof ExactNumber) return one.text
    switch (typeof one) {
      case 'bigint':
        return String(one)
      case 'object':
        if (one === null) return 'null'
        if ('toJSON' in one && typeof one.toJSON === 'function') return write(one.toJSON())
        if (Array.isArray(one)) return `[${one.map(item => write(item) ?? 'null').join(',')}]`
        return `{${keys(one).join(',')}}`
      default:
        return JSON.stringify(one) // undefined for values without JSON
    }
  }
  function keys(one: object): string[] {
    const entries = Object.entries(one)
    if (isSorted) entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    return entries.flatMap(([name, item]) => {
      const text = write(item)
      return text === undefined ? [] : `${JSON.stringify(name)}:${text}`
    })
  }
}
