import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decidingPattern,
  hasGlob,
  parseTablePattern,
  type RelationName,
  schemaPattern,
} from '../../../src/lib/patterns/table-pattern.js'

const relation = (schema: string, name: string, isVisible = schema === 'public'): RelationName => ({
  schema,
  name,
  isVisible,
})

describe('parseTablePattern', () => {
  it.each([
    ['people', relation('public', 'people'), true],
    ['PEOPLE', relation('public', 'people'), true],
    ['people', relation('public', 'People'), false],
    ['people', relation('chat', 'people'), false],
    ['"People"', relation('public', 'People'), true],
    ['"say ""hi"""', relation('public', 'say "hi"'), true],
    ['"a.b"', relation('public', 'a.b'), true],
    ['"a*"', relation('public', 'ab'), false],
    ['chat."Mixed "*', relation('chat', 'Mixed Case'), true],
    ['chat.*', relation('chat', 'messages'), true],
    ['chat.*', relation('chatter', 'messages'), false],
    ['chat.*', relation('public', 'chat.messages'), false],
    ['p*', relation('priv', 'people'), false],
    ['p*', relation('public', 'people'), true],
    ['*.*', relation('priv', 'a.b'), true],
    ['*.draft', relation('chat', 'draft'), true],
    ['{chat,crm}.t?', relation('crm', 't1'), true],
    ['t[0-9]', relation('public', 't5'), true],
    ['t[!0-9]', relation('public', 't5'), false],
    ['a[.]b', relation('public', 'a.b'), true],
    ['a\\*', relation('public', 'a*'), true],
    ['a\\*', relation('public', 'ab'), false],
    ['!chat.draft', relation('chat', 'draft'), true],
  ])('%s on %j: %s', (pattern, name, expected) => {
    expect(parseTablePattern(pattern).matches(name)).toBe(expected)
  })

  it.each([
    ['', 'lacks the name of a schema or a table'],
    ['!', 'lacks the name of a schema or a table'],
    ['chat.', 'lacks the name of a schema or a table'],
    ['.people', 'lacks the name of a schema or a table'],
    ['mydb.public.people', 'has more than one dot'],
    ['"people', 'has a double quote that is not closed'],
    ['{chat.a,crm.b}', 'has a dot within braces'],
    ['people[', 'has a bracket or brace that is not closed'],
    ['{a,b', 'has a bracket or brace that is not closed'],
  ])('refuses %j', (pattern, problem) => {
    expect(() => parseTablePattern(pattern)).toThrow(problem)
  })

  it('tells names from patterns, and negated ones', () => {
    const all = ['people', '"a*"', 'chat."B"', 'a\\*', '!x', 'chat.*', 'a?', 't[ab]', '{a,b}'].map(
      parseTablePattern,
    )
    expect(all.filter(({ isName }) => isName).map(({ text }) => text)).toEqual([
      'people',
      '"a*"',
      'chat."B"',
      'a\\*',
      '!x',
    ])
    expect(all.filter(({ isNegated }) => isNegated).map(({ text }) => text)).toEqual(['!x'])
  })

  it('matches every name that SQL quotes, and no other', () => {
    const name = fc.string({ unit: 'grapheme', minLength: 1 })
    const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`
    fc.assert(
      fc.property(name, name, name, name, (schema, table, otherSchema, otherTable) => {
        const pattern = parseTablePattern(`${quoted(schema)}.${quoted(table)}`)
        expect(pattern.isName).toBe(true)
        expect(pattern.matches(relation(schema, table))).toBe(true)
        expect(pattern.matches(relation(otherSchema, otherTable))).toBe(
          otherSchema === schema && otherTable === table,
        )
      }),
    )
  })
})

describe('hasGlob', () => {
  it.each([
    ['people', false],
    ['"Mixed*Case"', false],
    ['chat."a?".x', false],
    ['chat.*', true],
    ['"a"*', true],
    ['t[ab]', true],
    ['{a,b}', true],
    ['!people', true],
  ])('%s: %s', (word, expected) => {
    expect(hasGlob(word)).toBe(expected)
  })
})

describe('schemaPattern', () => {
  it('takes the name of a schema as it is', () => {
    expect(schemaPattern('A*').matches(relation('A*', 't'))).toBe(true)
    expect(schemaPattern('A*').matches(relation('Ab', 't'))).toBe(false)
  })
})

describe('decidingPattern', () => {
  const words = fc.constantFrom('a', 'b', 'a*', '*', 's.*', 's.a', '*.*', 's.{a,b}')
  const patterns = fc.array(
    fc.tuple(fc.boolean(), words).map(([isNegated, word]) => `${isNegated ? '!' : ''}${word}`),
    { maxLength: 6 },
  )
  const relations = fc.record({
    schema: fc.constantFrom('public', 's'),
    name: fc.constantFrom('a', 'b', 'ab', 'c'),
    isVisible: fc.boolean(),
  })
  const isSelected = (list: readonly string[], one: RelationName) =>
    decidingPattern(list.map(parseTablePattern), one)?.isNegated === false

  it('is the last pattern that matches', () => {
    fc.assert(
      fc.property(patterns, relations, (list, one) => {
        // Pattern by pattern, as a reader follows the list.
        let expected = false
        for (const text of list) {
          const pattern = parseTablePattern(text)
          if (pattern.matches(one)) expected = !pattern.isNegated
        }
        expect(isSelected(list, one)).toBe(expected)
      }),
    )
  })

  it('lets a pattern at the end decide about all that it matches, and about nothing else', () => {
    fc.assert(
      fc.property(patterns, words, fc.boolean(), relations, (list, word, isNegated, one) => {
        const last = parseTablePattern(`${isNegated ? '!' : ''}${word}`)
        const expected = last.matches(one) ? !isNegated : isSelected(list, one)
        expect(isSelected([...list, last.text], one)).toBe(expected)
      }),
    )
  })
})
