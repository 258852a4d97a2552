import { didYouMean } from './suggest.js'

/** How values of one type are parsed, checked and formatted. The parsers throw an Error whose message begins with "must". */
export interface ValueType<T> {
  readonly kind: 'boolean' | 'list' | 'scalar' | 'table'
  /** Name of the value in usage lines. */
  readonly placeholder: string
  /** From a flag or an environment variable. */
  parse(text: string): T
  fromToml(value: unknown): T
  /** From code; may return the value in its normal form. */
  check(value: unknown): T
  /** As TOML, after the `=`. */
  format(value: T): string
}

export function scalar<T>(
  type: Omit<ValueType<T>, 'kind' | 'fromToml'> & { fromToml?: ValueType<T>['fromToml'] },
): ValueType<T> {
  const fromToml = (value: unknown) => (typeof value === 'string' ? type.parse(value) : type.check(value))
  return { kind: 'scalar', fromToml, ...type }
}

/** @param parse gets the trimmed text; throws if it is invalid, and may return it in its normal form */
export function text(
  placeholder: string,
  parse: (text: string) => string = value => value,
): ValueType<string> {
  const read = (value: string) => {
    if (value.trim() === '') throw new Error('must not be empty')
    return parse(value.trim())
  }
  return scalar({
    placeholder,
    parse: read,
    check(value) {
      if (typeof value !== 'string') throw new Error('must be a text')
      return read(value)
    },
    format: quote,
  })
}

export function choice<const T extends string>(choices: readonly T[]): ValueType<T> {
  const parse = (given: string): T => {
    const found = choices.find(one => one === given.trim().toLowerCase())
    if (found === undefined)
      throw new Error(`must be one of ${choices.join(', ')}${didYouMean(given, choices)}`)
    return found
  }
  return scalar<T>({
    placeholder: choices.join('|'),
    parse,
    check: value => parse(typeof value === 'string' ? value : ''),
    format: quote,
  })
}

export const boolean: ValueType<boolean> = {
  kind: 'boolean',
  placeholder: '',
  parse(given) {
    const word = given.trim().toLowerCase()
    if (['true', 't', '1', 'yes', 'on'].includes(word)) return true
    if (['false', 'f', '0', 'no', 'off'].includes(word)) return false
    throw new Error('must be true or false')
  },
  fromToml: value => (typeof value === 'string' ? boolean.parse(value) : boolean.check(value)),
  check(value) {
    if (typeof value !== 'boolean') throw new Error('must be true or false')
    return value
  },
  format: String,
}

/** A limit: never zero, which would allow nothing. */
export const count: ValueType<number> = scalar({
  placeholder: 'NUMBER',
  parse: given => count.check(/^\s*\d{1,9}\s*$/.test(given) ? Number(given) : undefined),
  check: value => inRange(value, 1, 999_999_999, 'must be a whole number from 1 to 999999999'),
  format: String,
})

export const port: ValueType<number> = scalar({
  placeholder: 'PORT',
  parse: given => port.check(/^\s*\d{1,5}\s*$/.test(given) ? Number(given) : undefined),
  check: value => inRange(value, 0, 65_535, 'must be a port, a whole number from 0 to 65535'),
  format: String,
})

/** @param checkItem throws if an item is invalid */
export function list(placeholder: string, checkItem: (item: string) => void): ValueType<readonly string[]> {
  const check = (value: unknown) => {
    if (!Array.isArray(value)) throw new Error('must be a list of texts')
    return value.map(item => {
      if (typeof item !== 'string' || item === '')
        throw new Error('must be a list of texts that are not empty')
      checkItem(item)
      return item
    })
  }
  const parse = (given: string) => check(splitList(given))
  return {
    kind: 'list',
    placeholder,
    parse,
    fromToml: value => (typeof value === 'string' ? parse(value) : check(value)),
    check,
    format: items => `[${items.map(quote).join(', ')}]`,
  }
}

/** Lists by name. */
export type Table = Readonly<Record<string, readonly string[]>>

/**
 * A list for each name: `[RoleChannels]` in TOML, `user=a,b;admin=*` in flags and variables.
 * @param checkItem throws if an item is invalid
 */
export function table(placeholder: string, checkItem: (item: string) => void): ValueType<Table> {
  const items = list(placeholder, checkItem)
  const check = (value: unknown): Table => {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Date)
      throw new Error('must be a table that has a list of texts for each name')
    return Object.fromEntries(Object.entries(value).map(([name, given]) => [name, items.check(given)]))
  }
  const parse = (given: string): Table => {
    const entries = splitAt(';', given).map((part): [string, readonly string[]] => {
      const at = part.indexOf('=')
      if (at < 1) throw new Error(`must be written as name=item,item;name=item, '${part}' is not`)
      return [part.slice(0, at).trim(), items.parse(part.slice(at + 1))]
    })
    const merged = new Map<string, readonly string[]>()
    for (const [name, given] of entries) merged.set(name, [...(merged.get(name) ?? []), ...given])
    return Object.fromEntries(merged)
  }
  return {
    kind: 'table',
    placeholder,
    parse,
    fromToml: value => (typeof value === 'string' ? parse(value) : check(value)),
    check,
    format: value =>
      `{ ${Object.entries(value)
        .map(([name, given]) => `${quote(name)} = ${items.format(given)}`)
        .join(', ')} }`.replace('{  }', '{}'),
  }
}

/** Splits at commas, but not within the braces of a glob (`{a,b}`) nor after a backslash. */
export function splitList(given: string): string[] {
  return splitAt(',', given)
}

function splitAt(separator: ',' | ';', given: string): string[] {
  const items = ['']
  let depth = 0
  for (const [piece] of given.matchAll(/\\.|./gsu)) {
    if (piece === '{') depth++
    if (piece === '}' && depth > 0) depth--
    if (piece === separator && depth === 0) items.push('')
    else items[items.length - 1] += piece
  }
  return items.map(item => item.trim()).filter(item => item !== '')
}

/** @throws Error with the message `wanted` */
export function inRange(value: unknown, min: number, max: number, wanted: string): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value
  throw new Error(wanted)
}

/** A basic string of TOML (https://toml.io/en/v1.0.0#string): like a JSON string, except that DEL is escaped, too. */
export function quote(value: string): string {
  return JSON.stringify(value).replaceAll('\x7f', '\\u007f')
}
