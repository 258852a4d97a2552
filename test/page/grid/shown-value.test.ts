import { expect, it } from 'vitest'
import { shownValue } from '../../../page/grid/shown-value.js'
import { notShown } from '../../../page/session/not-shown.js'

it('a value is shown according to its type', () => {
  expect(shownValue(null)).toEqual({ kind: 'null', text: 'NULL', whole: 'NULL' })
  expect(shownValue('NULL')).toEqual({ kind: 'text', text: 'NULL', whole: 'NULL' })
  expect(shownValue('')).toMatchObject({ kind: 'empty', text: '(empty)' })
  expect(shownValue(false)).toMatchObject({ text: 'false' })
  expect(shownValue(1.5)).toMatchObject({ kind: 'number', text: '1.5' })
  expect(shownValue('9007199254740993')).toMatchObject({ text: '9007199254740993' })
})

it('a timestamp is shown to the second in its cell, and exactly in the panel', () => {
  const exact = '2026-11-23T03:41:57.440149+00:00'
  expect(shownValue(exact, 'DateTime!')).toEqual({
    kind: 'moment',
    text: '2026-11-23 03:41:57Z',
    whole: exact,
  })
  expect(shownValue('2026-11-23T03:41:57', 'LocalDateTime').text).toBe('2026-11-23 03:41:57')
  expect(shownValue('infinity', 'DateTime').text).toBe('infinity')
  expect(shownValue(exact, 'String').text).toBe(exact)
})

it('a long value is cut in its cell, and whole in the panel', () => {
  expect(shownValue('x'.repeat(5000))).toEqual({
    kind: 'text',
    text: `${'x'.repeat(200)}…`,
    whole: 'x'.repeat(5000),
  })
  expect(shownValue('x'.repeat(300_000)).whole).toHaveLength(200_001)
})

it('JSON is shown on one line, and indented in the panel', () => {
  const value = { a: [1, { b: null }], c: 'text' }
  expect(shownValue(value)).toEqual({
    kind: 'json',
    text: '{"a": [1, {"b": null}], "c": "text"}',
    whole: JSON.stringify(value, null, 2),
  })
})

it('JSON that is nested too deeply causes no error', () => {
  expect(shownValue(JSON.parse('['.repeat(100_000) + ']'.repeat(100_000)))).toMatchObject({ kind: 'hidden' })
})

it('a value that GraphQL cannot show is replaced by the reason', () => {
  expect(shownValue(notShown('the value is NaN'))).toEqual({
    kind: 'hidden',
    text: 'not shown',
    whole: 'the value is NaN',
  })
  const list = shownValue([1, notShown('the value is NaN')])
  expect([list.text, JSON.parse(list.whole)]).toEqual(['[1, not shown]', [1, 'not shown: the value is NaN']])
})
