import { describe, expect, it } from 'vitest'
import { escapeControls, formatTable, textWidth } from '../../src/lib/table.js'

const columns = [
  { name: 'pk', align: 'right' },
  { name: 'name', align: 'left' },
] as const

describe('formatTable', () => {
  it('aligns numbers to the right and text to the left, and centres the heads', () => {
    expect(
      formatTable(columns, [
        ['1', 'Paul'],
        ['200', 'Colin B.'],
      ]),
    ).toBe([' pk  |   name', '-----+----------', '   1 | Paul', ' 200 | Colin B.', ''].join('\n'))
  })
  it('shows NULL, which differs from an empty text', () => {
    expect(formatTable(columns, [[null, '']])).toBe(
      [' pk  | name', '------+------', ' NULL |', ''].join('\n').replace(' pk  ', '  pk  '),
    )
  })
  it('prints only heads if there are no rows', () => {
    expect(formatTable(columns, [])).toBe(' pk | name\n----+------\n')
  })
  it('prints a line for each row if there are no columns', () => {
    expect(formatTable([], [[], []])).toBe('\n--\n\n\n')
  })
  it('aligns wide, combining and emoji characters by the columns they take', () => {
    const table = formatTable(
      [columns[1], columns[1]],
      ['日本語', 'e\u0301a', '👩‍👩‍👧', 'x'].map(text => [text, '|']),
    )
    const ends = table
      .split('\n')
      .slice(2, -1)
      .map(line => textWidth(line))
    expect(ends).toEqual([11, 11, 11, 11])
  })
  it('shows control characters as escapes', () => {
    expect(formatTable([columns[1]], [['a\nb\t\x1b[31m\u202e']])).toContain(' a\\nb\\t\\x1B[31m\\u202E\n')
  })
})

it.each([
  ['', 0],
  ['abc', 3],
  ['é', 1],
  ['e\u0301', 1],
  ['日本', 4],
  ['한', 2],
  ['ｆ', 2],
  ['👍🏽', 2],
  ['🇨🇭', 2],
  ['\u200b', 0],
])('the width of %j is %i', (text, width) => expect(textWidth(text)).toBe(width))

it('ordinary text stays unchanged', () => {
  expect(escapeControls('grüezi, 世界 \\n')).toBe('grüezi, 世界 \\n')
})
