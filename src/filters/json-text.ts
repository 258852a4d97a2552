import { randomBytes } from 'node:crypto'
import { ListenqlError } from '../lib/errors.js'
import { isExactNumber } from '../lib/json/decimal-text.js'
import { endOfString } from './json-scan.js'

/**
 * A JSON value as its stored text. `stringifyJson` writes it with all digits of its numbers, and its depth needs no stack; any other
 * writer gets the result of JSON.parse.
 */
export class JsonText {
  /** On one line: JSON has line breaks only between its tokens, and in an event stream a line break ends the data. */
  readonly text: string
  #parsed: { readonly value: unknown } | undefined

  /** @param text JSON, which is not checked */
  constructor(text: string) {
    this.text = /[\r\n]/.test(text) ? text.replace(/[\r\n]/g, ' ') : text
  }

  /** The result of JSON.parse: numbers of more than 53 bits are rounded. */
  get value(): unknown {
    this.#parsed ??= { value: JSON.parse(this.text) }
    return this.#parsed.value
  }

  /** The same, if any server can write it without changing a number. @throws ListenqlError VALUE_NOT_SHOWN */
  exactValue(): unknown {
    const problem = problemOf(this.text)
    if (problem === undefined) return this.value
    throw new ListenqlError('VALUE_NOT_SHOWN', `the JSON value ${problem}`)
  }

  toJSON(): unknown {
    if (!written) return this.value
    written.push(this.text)
    return MARK
  }
}

/** Stands for a JsonText until the surrounding text is complete. Random, so that no value can be equal to it. */
const MARK = randomBytes(16).toString('hex')

/** The texts of the marks in order, while `stringifyJson` runs. */
let written: string[] | undefined

/** JSON.stringify that writes each JsonText as its own text. */
export function stringifyJson(value: unknown): string {
  const outer = written
  const texts: string[] = []
  written = texts
  try {
    const text = JSON.stringify(value)
    return texts.length === 0 ? text : fill(text, texts)
  } finally {
    written = outer
  }
}

function fill(text: string, texts: readonly string[]): string {
  const pieces = text.split(`"${MARK}"`)
  if (pieces.length !== texts.length + 1) throw new Error('a JSON text has lost its place')
  return pieces.flatMap((piece, i) => (i === 0 ? [piece] : [texts[i - 1], piece])).join('')
}

/** Deeper values overflow the stack of JSON.stringify. */
const MAX_DEPTH = 1000

/** Why other writers cannot write a JSON text unchanged, as a sentence without its subject. */
export function problemOf(text: string): string | undefined {
  let depth = 0
  for (let at = 0; at < text.length; ) {
    const code = text.charCodeAt(at)
    if (code === 0x22) {
      at = endOfString(text, at)
    } else if (code === 0x2d || (code >= 0x30 && code <= 0x39)) {
      const end = endOfNumber(text, at)
      const number = text.slice(at, end)
      if (!isExact(number)) return `holds the number ${shorten(number)}, which JavaScript would change`
      at = end
    } else {
      if (code === 0x7b || code === 0x5b) depth++
      else if (code === 0x7d || code === 0x5d) depth--
      if (depth > MAX_DEPTH) return `is nested more than ${MAX_DEPTH} levels deep`
      at++
    }
  }
  return undefined
}

function endOfNumber(text: string, from: number): number {
  let at = from + 1
  while (isOfNumber(text.charCodeAt(at))) at++
  return at
}

/** 0 to 9, `+`, `-`, `.`, `E`, `e`. */
function isOfNumber(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) ||
    code === 0x2b ||
    code === 0x2d ||
    code === 0x2e ||
    code === 0x45 ||
    code === 0x65
  )
}

/** 15 digits survive in any double (IEEE 754); numbers with more digits or an exponent are compared. */
function isExact(number: string): boolean {
  if (number.length <= 15 && !/[eE]/.test(number)) return true
  return isExactNumber(number)
}

function shorten(number: string): string {
  return number.length > 40 ? `${number.slice(0, 40)}… (${number.length} characters)` : number
}
