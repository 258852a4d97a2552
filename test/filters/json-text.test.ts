import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { JsonText, stringifyJson } from '../../src/filters/index.js'
import { problemOf } from '../../src/filters/json-text.js'

/** A placeholder in the text of the oracle for each JsonText. */
const HOLE = '"\u0000hole"'

describe('stringifyJson', () => {
  it('writes what JSON.stringify writes, and each JsonText as its text', () => {
    const leaf = fc.oneof(
      fc.json().map(text => ({ hole: text })),
      fc.jsonValue({ maxDepth: 1 }),
    )
    const { tree } = fc.letrec(tie => ({
      tree: fc.oneof({ maxDepth: 4 }, leaf, fc.array(tie('tree')), fc.dictionary(fc.string(), tie('tree'))),
    }))
    const isHole = (value: unknown): value is { hole: string } =>
      typeof value === 'object' && value !== null && Object.keys(value).join() === 'hole'
    const fill = (value: unknown, put: (text: string) => unknown): unknown => {
      if (isHole(value)) return put(String(value.hole))
      if (Array.isArray(value)) return value.map(item => fill(item, put))
      if (typeof value !== 'object' || value === null) return value
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fill(item, put)]))
    }
    fc.assert(
      fc.property(tree, value => {
        const texts: string[] = []
        const frame = JSON.stringify(
          fill(value, text => {
            texts.push(text)
            return HOLE
          }),
        )
        const expected = frame
          .split(JSON.stringify(HOLE))
          .reduce((all, piece, i) => all + texts[i - 1] + piece)
        expect(stringifyJson(fill(value, text => new JsonText(text)))).toBe(expected)
      }),
    )
  })

  it('keeps every digit at any depth, on one line', () => {
    const text = '{"a" : 9007199254740993,\r\n\t"b": [1.50, 1e400, -0.0]}'
    expect(stringifyJson({ doc: new JsonText(text) })).toBe(
      '{"doc":{"a" : 9007199254740993,  \t"b": [1.50, 1e400, -0.0]}}',
    )
    const deep = '['.repeat(100_000) + ']'.repeat(100_000)
    expect(stringifyJson([new JsonText(deep)])).toBe(`[${deep}]`)
  })

  it('may be called recursively', () => {
    const inner = { toJSON: () => stringifyJson([new JsonText('1.0')]) }
    expect(stringifyJson([new JsonText('2.0'), inner, new JsonText('3.0')])).toBe('[2.0,"[1.0]",3.0]')
  })

  it('leaves any other writer with what JSON.parse returns', () => {
    expect(JSON.stringify([new JsonText('{"a": 1.50}')])).toBe('[{"a":1.5}]')
  })
})

describe('a JSON text without stringifyJson', () => {
  it('is returned as a value if JavaScript changes none of its numbers', () => {
    for (const text of [
      ...['0', '-0', '1.50', '1e3', '0.1', '9007199254740992', '123456789012345', '1E+2', '1e-7'],
      ...[
        '100000000000000000000',
        '1.7976931348623157e308',
        '5e-324',
        '"9007199254740993"',
        '{"1e400": "1e400"}',
        '0e999999',
      ],
    ])
      expect(new JsonText(text).exactValue(), text).toEqual(JSON.parse(text))
  })

  it('is refused otherwise', () => {
    const digits = `1${'0'.repeat(99_999)}1`
    for (const [text, number] of [
      ['9007199254740993', '9007199254740993'],
      ['{"a":[1,-9007199254740993]}', '-9007199254740993'],
      ['1e400', '1e400'],
      ['[1e-400]', '1e-400'],
      ['0.1000000000000000055511151231257827', '0.1000000000000000055511151231257827'],
      [`{"\\"": ${digits} }`, digits],
    ] as const) {
      expect(problemOf(text)).toContain(`the number ${number.slice(0, 40)}`)
      expect(() => new JsonText(text).exactValue()).toThrow(
        expect.objectContaining({ code: 'VALUE_NOT_SHOWN' }),
      )
    }
  })

  it('is refused if it is too deep for other writers', () => {
    const nested = (depth: number) => new JsonText('['.repeat(depth) + ']'.repeat(depth))
    expect(nested(1000).exactValue()).toEqual(nested(1000).value)
    expect(() => nested(1001).exactValue()).toThrow(expect.objectContaining({ code: 'VALUE_NOT_SHOWN' }))
  })

  it('is found to change exactly if writing one of its numbers again gives another number', () => {
    const number = fc
      .tuple(
        fc.constantFrom('', '-'),
        fc.bigInt({ min: 0n, max: 10n ** 20n }),
        fc.option(fc.stringMatching(/^\d{1,20}$/)),
        fc.option(fc.tuple(fc.constantFrom('e', 'E', 'e+', 'e-'), fc.nat(330))),
      )
      .map(([sign, whole, fraction, exponent]) =>
        [sign, whole, fraction === null ? '' : `.${fraction}`, (exponent ?? []).join('')].join(''),
      )
    /** The number times 10^1000, exactly. */
    const scaled = (text: string): bigint => {
      const [, sign, whole, fraction = '', exponent = '0'] =
        /^(-?)(\d+)(?:\.(\d+))?(?:[eE]\+?(-?\d+))?$/.exec(text) ?? []
      const zeros = 1000 + Number(exponent) - fraction.length
      return BigInt(`${sign}${whole}${fraction}${'0'.repeat(zeros)}`)
    }
    fc.assert(
      fc.property(number, text => {
        const read = JSON.parse(text) as number
        const isKept = Number.isFinite(read) && scaled(String(read)) === scaled(text)
        const problem = problemOf(`[1,${text}]`)
        if (isKept) expect(problem).toBeUndefined()
        else expect(problem).toContain(`the number ${text.slice(0, 40)}`)
      }),
      { numRuns: 2000 },
    )
  })
})
