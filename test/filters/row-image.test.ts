import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createImageReader, JsonText } from '../../src/filters/index.js'
import type { Column, TypeCategory } from '../../src/postgres/types.js'

function column(name: string, category: TypeCategory, isArray = false): Column {
  return { name, category, isArray, baseType: category, typeName: category, typeOid: 0, notNull: false }
}

function readOne(category: TypeCategory, json: string, isArray = false): unknown {
  return createImageReader([column('x', category, isArray)])(`{"x":${json}}`).get('x')
}

/** As JSON.parse would return it. */
const plain = (value: unknown) => (value instanceof JsonText ? value.value : value)

// No column has the empty name: under it, an image lists what is missing.
const name = fc.string({ unit: 'binary', minLength: 1, maxLength: 8 })
const entries = fc.uniqueArray(fc.tuple(name, fc.jsonValue()), { selector: ([key]) => key })
const space = fc.constantFrom('', ' ', '\n\t')

describe('a row image', () => {
  it('is read as JSON.parse reads it, with any order, white space and unknown names', () => {
    fc.assert(
      fc.property(entries, space, fc.boolean(), fc.nat(10), (all, s, reversed, known) => {
        const members = (reversed ? all.toReversed() : all).map(
          ([key, value]) => `${s}${JSON.stringify(key)}${s}:${s}${JSON.stringify(value, null, s)}${s}`,
        )
        const text = `${s}{${members.join(',') || s}}`
        const expected = new Map(Object.entries(JSON.parse(text) as object))
        const row = createImageReader(all.slice(0, known).map(([key]) => column(key, 'json')))(text)
        for (const [i, [key]] of all.entries()) {
          expect(plain(row.get(key))).toEqual(i < known ? expected.get(key) : null)
          expect(row.isNull(key)).toBe(i >= known || expected.get(key) === null)
        }
      }),
    )
  })

  it('is refused if it is truncated or not an object, and never read forever', () => {
    const read = createImageReader([column('a', 'json'), column('b', 'text')])
    const text = '{"a":{"x":["]}\\"",1]},"b":"\\\\","c":-1.5e3,"d":null}'
    expect(read(text).get('b')).toBe('\\')
    for (let length = 0; length < text.length; length++)
      expect(() => read(text.slice(0, length)), text.slice(0, length)).toThrow(SyntaxError)
    for (const other of [
      '[]',
      '"a"',
      'null',
      '{"a" 1}',
      '{"a":1 "b":2}',
      '{a:1}',
      '{"a":,"b":1}',
      '{"a":1,}',
    ])
      expect(() => read(other), other).toThrow(SyntaxError)
  })

  it('keeps every digit of int8 and numeric, in lists too', () => {
    expect(readOne('int8', '9007199254740993')).toBe('9007199254740993')
    expect(readOne('numeric', '1.50')).toBe('1.50')
    expect(readOne('numeric', '"NaN"')).toBe('NaN')
    expect(readOne('numeric', '[1.50,null,"-Infinity",[-9007199254740993]]', true)).toEqual([
      '1.50',
      null,
      '-Infinity',
      ['-9007199254740993'],
    ])
    expect(readOne('int8', '[]', true)).toEqual([])
  })

  it('returns each type as its JavaScript type', () => {
    expect(readOne('int4', '-7')).toBe(-7)
    expect(readOne('float8', '1e-07')).toBe(1e-7)
    expect(readOne('float8', '"-Infinity"')).toBe(Number.NEGATIVE_INFINITY)
    expect(readOne('float4', '[1.9,"NaN",null]', true)).toEqual([1.9, Number.NaN, null])
    expect(readOne('bool', 'true')).toBe(true)
    expect(readOne('bool', 'false')).toBe(false)
    expect(readOne('text', '"a\\n\\u0001\\"é"')).toBe('a\n\u0001"é')
    expect(readOne('text', '["null",null]', true)).toEqual(['null', null])
    expect(readOne('json', '"1.50"')).toEqual(new JsonText('"1.50"'))
    expect(readOne('json', '{"a":1.50}')).toEqual(new JsonText('{"a":1.50}'))
    expect(readOne('json', ' [1e400 , null, {"a" : [2]}] ', true)).toEqual([
      new JsonText('1e400'),
      null,
      new JsonText('{"a" : [2]}'),
    ])
    expect(readOne('composite', '{"a":1}')).toBe('{"a":1}')
    expect(readOne('text', 'null')).toBeNull()
  })
})
