import type { Column } from '../postgres/types.js'
import { comparisonOf } from './comparisons.js'
import { elementsOf, endOfString, endOfValue, skipSpace } from './json-scan.js'
import { JsonText } from './json-text.js'
import type { Key } from './keys.js'
import { foldCase } from './like/like.js'
import { readUnreadable, UNREADABLE_MEMBER, type Unreadable } from './unreadable.js'

/** Parses the JSON text of one row, without losing a digit. @throws SyntaxError if it is not a JSON object. */
export type ReadImage = (text: string) => RowImage

interface Layout {
  readonly columns: readonly Column[]
  readonly positions: ReadonlyMap<string, number>
  readonly keys: readonly ((value: unknown) => Key)[]
}

/**
 * Creates the reader of the images of one table in the event log: one JSON object, made by Postgres with
 * timezone UTC, extra_float_digits 1, bytea_output hex, intervalstyle iso_8601. It only finds where the columns are; a
 * value is parsed when it is first used. An image in the order of `columns` is the fastest; any other order works, too.
 */
export function createImageReader(columns: readonly Column[]): ReadImage {
  const layout: Layout = {
    columns,
    positions: new Map(columns.map(({ name }, position) => [name, position])),
    keys: columns.map(column => comparisonOf(column).key),
  }
  const labels = columns.map(({ name }) => `${JSON.stringify(name)}:`)
  return text => {
    const { raw, missing } = cut(text, labels, layout.positions)
    return new RowImage(layout, raw, missing)
  }
}

export class RowImage {
  readonly #layout: Layout
  readonly #raw: readonly (string | undefined)[]
  readonly #missing: ReadonlyMap<string, Unreadable> | undefined
  #values: unknown[] | undefined
  #keys: (Key | null)[] | undefined
  #folded: (string | null)[] | undefined

  /** Use `createImageReader`. `raw` is the JSON text of each column; `missing` are the unreadable ones. */
  constructor(
    layout: Layout,
    raw: readonly (string | undefined)[],
    missing?: ReadonlyMap<string, Unreadable>,
  ) {
    this.#layout = layout
    this.#raw = raw
    this.#missing = missing
  }

  /** About how many characters of JSON text it keeps. */
  get size(): number {
    let size = 0
    for (const text of this.#raw) size += text?.length ?? 0
    return size
  }

  /** Whether a value of the row is unreadable; see `unreadable`. */
  get hasUnreadable(): boolean {
    return this.#missing !== undefined
  }

  /** Why the value of a column is unreadable, and null here without being NULL; undefined if it is readable. */
  unreadable(name: string): Unreadable | undefined {
    return this.#missing?.get(name)
  }

  /**
   * The value of a column; null if it is NULL or not in the image. int2, int4, float4, float8: number (including NaN and
   * Infinity). int8, numeric: string with the digits that Postgres wrote. bool: boolean. json: JsonText. Arrays: nested
   * arrays of these; arrays of json must have one dimension. An array that the image has as a text, because JSON would lose a part
   * of it: that text. All other types: string, as Postgres writes it (bytea: `\x` and hex).
   */
  get(name: string): unknown {
    const position = this.#layout.positions.get(name)
    return position === undefined ? null : this.#value(position)
  }

  /** A text in lower case, as ILIKE and citext compare it; null if it is NULL or not a text. Computed once for all filters. */
  folded(name: string): string | null {
    const position = this.#layout.positions.get(name)
    if (position === undefined) return null
    this.#folded ??= []
    const known = this.#folded[position]
    if (known !== undefined) return known
    const value = this.#value(position)
    const folded = typeof value === 'string' ? foldCase(value) : null
    this.#folded[position] = folded
    return folded
  }

  /** What the column's value is compared by; null if it is NULL. @throws TypeError for types whose only operator is isNull */
  key(name: string): Key | null {
    const position = this.#layout.positions.get(name)
    if (position === undefined) return null
    this.#keys ??= []
    const known = this.#keys[position]
    if (known !== undefined) return known
    const value = this.#value(position)
    const key = value === null ? null : this.#layout.keys[position]!(value)
    this.#keys[position] = key
    return key
  }

  /** The JSON text of a column, as Postgres wrote it; `null` if it is NULL or not in the image. */
  json(name: string): string {
    const position = this.#layout.positions.get(name)
    return (position === undefined ? undefined : this.#raw[position]) ?? 'null'
  }

  isNull(name: string): boolean {
    const position = this.#layout.positions.get(name)
    if (position !== undefined && (this.#raw[position] ?? 'null') !== 'null') return false
    return this.unreadable(name) === undefined
  }

  #value(position: number): unknown {
    this.#values ??= []
    const known = this.#values[position]
    if (known !== undefined) return known
    const raw = this.#raw[position]
    const value =
      raw === undefined || raw === 'null' ? null : readValue(raw, this.#layout.columns[position] as Column)
    this.#values[position] = value
    return value
  }
}

function readValue(raw: string, { category, isArray }: Column): unknown {
  if (isArray) return raw.startsWith('"') ? readString(raw) : readArray(raw, category)
  switch (category) {
    case 'json':
      return new JsonText(raw)
    case 'bool':
      return raw === 'true'
    case 'int2':
    case 'int4':
    case 'float4':
    case 'float8':
      return Number(raw.startsWith('"') ? raw.slice(1, -1) : raw)
    default:
      return raw.startsWith('"') ? readString(raw) : raw
  }
}

function readString(raw: string): string {
  return raw.includes('\\') ? (JSON.parse(raw) as string) : raw.slice(1, -1)
}

function readArray(raw: string, category: Column['category']): unknown {
  switch (category) {
    case 'json':
      return elementsOf(raw).map(element => (element === 'null' ? null : new JsonText(element)))
    case 'int8':
    case 'numeric':
      // The only strings are "NaN", "Infinity" and "-Infinity".
      return JSON.parse(raw.replace(/-?\d[^,\]\s]*/g, '"$&"'))
    case 'float4':
    case 'float8':
      return JSON.parse(raw, (_key, value: unknown) => (typeof value === 'string' ? Number(value) : value))
    default:
      return JSON.parse(raw)
  }
}

interface Cut {
  /** The JSON text of each column. */
  readonly raw: (string | undefined)[]
  missing?: ReadonlyMap<string, Unreadable>
}

function cut(text: string, labels: readonly string[], positions: ReadonlyMap<string, number>): Cut {
  const raw: (string | undefined)[] = []
  const found: Cut = { raw }
  let at = skipSpace(text, 0)
  if (text.charCodeAt(at) !== 0x7b) throw new SyntaxError('a row image is not a JSON object')
  at = skipSpace(text, at + 1)
  if (text.charCodeAt(at) === 0x7d) return found
  for (let expected = 0; ; expected++) {
    let position: number | undefined = expected
    let isMissing = false
    const label = labels[expected]
    if (label !== undefined && text.startsWith(label, at)) {
      at += label.length
    } else {
      if (text.charCodeAt(at) !== 0x22) throw new SyntaxError('a name is missing in a row image')
      const end = endOfString(text, at)
      const name = readString(text.slice(at, end))
      position = positions.get(name)
      isMissing = name === UNREADABLE_MEMBER
      at = skipSpace(text, end)
      if (text.charCodeAt(at) !== 0x3a) throw new SyntaxError('a colon is missing in a row image')
      at++
    }
    at = skipSpace(text, at)
    const end = endOfValue(text, at)
    if (position !== undefined) raw[position] = text.slice(at, end)
    if (isMissing) found.missing = new Map(readUnreadable(text.slice(at, end)))
    at = skipSpace(text, end)
    const next = text.charCodeAt(at)
    if (next === 0x7d) return found
    if (next !== 0x2c) throw new SyntaxError('a comma is missing in a row image')
    at = skipSpace(text, at + 1)
  }
}
