import { expect, it } from 'vitest'
import { pretty } from '../../../page/channels/pretty.js'

it('JSON is formatted as JSON.stringify does', () => {
  const value = { a: [], b: {}, c: [1, [2, { d: 'x, {"y": [1]}\\' }]], e: null, f: 'ü\n', g: '\u2028' }
  for (const one of [value, [value, value], [], {}, [[[]]], [{}]])
    expect(pretty(JSON.stringify(one))).toBe(JSON.stringify(one, null, 2))
})

it('every digit and the order of keys are kept', () => {
  expect(pretty('{"b":9007199254740993, "1":1.50,"b" : 1e400}')).toBe(
    '{\n  "b": 9007199254740993,\n  "1": 1.50,\n  "b": 1e400\n}',
  )
})

it('text that is not a JSON object or array stays as it is', () => {
  for (const text of ['', 'hello', '{"a":', '"a string"', '1.50', '<b>[1]</b>', '{1}'])
    expect(pretty(text)).toBe(text)
})
