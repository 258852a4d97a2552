import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { claimAt, scalarText } from '../../../src/lib/claims.js'
import { ExactNumber, parseExactJson, stringifyExactJson } from '../../../src/lib/json/exact-json.js'

const again = (text: string) => stringifyExactJson(parseExactJson(text))

describe('a number in exact JSON', () => {
  it.each([
    '9007199254740993',
    '-9007199254740993',
    '1.0',
    '-0',
    '1e400',
    '-1E-400',
    '0.10',
    '1e2',
    '123456789012345678901234567890.5',
  ])('%s keeps its notation', text => {
    expect(again(text)).toBe(text)
    expect(again(`{"a":[${text},{"b":${text}}]}`)).toBe(`{"a":[${text},{"b":${text}}]}`)
    expect(parseExactJson(text)).toBeInstanceOf(ExactNumber)
  })

  it.each(['0', '1', '-1.5', '9007199254740991', '1e+21', '1.5e-7'])('%s is a plain number', text => {
    expect(parseExactJson(text)).toBe(Number(text))
  })

  it('from a bigint keeps every digit', () => {
    expect(stringifyExactJson({ tenant: 2n ** 53n + 1n, none: undefined, f: () => 1, at: new Date(0) })).toBe(
      '{"tenant":9007199254740993,"at":"1970-01-01T00:00:00.000Z"}',
    )
  })
})

describe('the text of an exact number', () => {
  it.each([
    ['1', '1'],
    ['1.0', '1'],
    ['10e-1', '1'],
    ['-0.0', '0'],
    ['1e3', '1000'],
    ['1e21', '1e+21'],
    ['0.1', '0.1'],
    ['0.10', '0.1'],
    ['9007199254740992', '9007199254740992'],
    ['9007199254740993', '9007199254740993'],
    ['9007199254740993.0', '9007199254740993'],
    ['90071992547409930e-1', '9007199254740993'],
    ['-12345678901234567890', '-12345678901234567890'],
    ['0.10000000000000000001', '0.10000000000000000001'],
    ['1e400', '1e+400'],
    ['12e400', '1.2e+401'],
    ['1e350', '1e+350'],
    ['12345678901234567890e3', '12345678901234567890000'],
    ['1e-400', '1e-400'],
  ])('%s is %s', (text, expected) => {
    expect(scalarText(parseExactJson(text))).toBe(expected)
  })

  it('has no property that a claim path could reach', () => {
    const claims = parseExactJson('{"n": 9007199254740993}') as Record<string, unknown>
    for (const path of ['n.text', 'n.canonical', 'n.constructor', 'n.#text'])
      expect(claimAt(claims, path)).toBeUndefined()
  })
})

it('parseExactJson accepts what JSON.parse accepts, and refuses what it refuses', () => {
  const strange = fc.oneof(
    fc.json(),
    fc.jsonValue().map(value => JSON.stringify(value, null, 2)),
    fc.string(),
    fc.array(fc.constantFrom('{', '}', '[', ']', '"', ':', ',', '1', '-', '.', 'e', 'true', 'null', '\\', '\\u00', ' ', '\n', '\t', '\u0001', '0')).map(parts => parts.join('')),
  ) // biome-ignore format: a list
  const attempt = (parse: (text: string) => unknown, text: string) => {
    try {
      return { value: parse(text) }
    } catch (error) {
      return { error: (error as Error).name }
    }
  }
  const nearest = (value: unknown): unknown => {
    if (value instanceof ExactNumber) return value.nearest
    if (Array.isArray(value)) return value.map(nearest)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, nearest(item)]))
  }
  fc.assert(
    fc.property(strange, text => {
      expect(nearest(attempt(parseExactJson, text))).toEqual(attempt(JSON.parse, text))
    }),
    { numRuns: 2000 },
  )
})

it('parseExactJson takes the last of duplicate members, and treats inherited property names as ordinary members', () => {
  expect(again('{"a":1,"b":2,"a":9007199254740993}')).toBe('{"a":9007199254740993,"b":2}')
  const odd = parseExactJson('{"__proto__": {"admin": true}, "constructor": 1}') as Record<string, unknown>
  expect(Object.getPrototypeOf(odd)).toBe(Object.prototype)
  expect(Object.hasOwn(odd, '__proto__')).toBe(true)
  expect(claimAt(odd, 'admin')).toBeUndefined()
  expect(() => parseExactJson(`${'['.repeat(5000)}${']'.repeat(5000)}`)).toThrow(SyntaxError)
})

it('values differ by their digits, whatever the order of keys', () => {
  const key = (text: string) => stringifyExactJson(parseExactJson(text), true)
  expect(key('{"b":1,"a":9007199254740993}')).toBe(key('{"a":9007199254740993,"b":1}'))
  expect(key('{"a":9007199254740993}')).not.toBe(key('{"a":9007199254740992}'))
})
