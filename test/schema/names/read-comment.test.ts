import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readComment } from '../../../schema/names/read-comment.js'

describe('the tag @name', () => {
  it.each([
    ['@name person', 'person', null],
    ['@name person\nEverybody we know.', 'person', 'Everybody we know.'],
    ['@name person\r\n\r\nFirst.\r\n\r\nSecond.', 'person', 'First.\n\nSecond.'],
    ['\n   @name person  \n   Indented.', 'person', 'Indented.'],
    ['@omit delete\n@name person\nText', 'person', '@omit delete\nText'],
    ['@name\tperson', 'person', null],
    [`@name ${'a'.repeat(63)}`, 'a'.repeat(63), null],
  ])('of %j is %s, and the rest is the description', (comment, name, description) => {
    expect(readComment(comment)).toEqual({ name, description })
  })

  it.each([
    null,
    '',
    'Everybody we know.',
    'Everybody we know.\n@name person',
    '@named person',
    'see @name person',
    ' two\n  lines ',
    '@omit\ntext',
  ])('is absent in %j, which is the description as it is', comment => {
    expect(readComment(comment)).toEqual({ description: comment })
  })

  it.each([
    ['@name', 'it has no name: write @name and the name'],
    ['@name  \nText', 'it has no name: write @name and the name'],
    ['@name a\n@name b', 'there is more than one: keep one'],
    ['@name of a person', '"of a person" is not a name'],
    ['@name 1st', '"1st" is not a name'],
    ['@name __person', '"__person" is not a name'],
    ['@name größe', '"größe" is not a name'],
    ['@name _', '"_" is not a name'],
    [`@name ${'a'.repeat(64)}`, `"${'a'.repeat(63)}…" is not a name`],
  ])('of %j cannot be used, and the reason says what to write', (comment, problem) => {
    const read = readComment(comment)
    expect(read.name).toBeUndefined()
    expect(read.problem).toContain(problem)
    expect(read.problem).toContain(':')
    expect(read.description ?? '').not.toContain('@name')
  })
})

it('reads any comment: with a tag in front, the description is the rest', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 30 }), rest => {
      const read = readComment(rest)
      if (read.name === undefined && read.problem === undefined) expect(read.description).toBe(rest)
      const tagged = readComment(`@name person\nDescription: ${rest}`)
      expect(tagged.name).toBe('person')
      const normal = `Description: ${rest}`.split(/\r?\n/).join('\n').trim()
      expect(tagged.description).toBe(normal)
    }),
  )
})
