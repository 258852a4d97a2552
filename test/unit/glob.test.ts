import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createChannelRules } from '../../src/auth/channel-rules.js'
import { compileGlob } from '../../src/lib/glob.js'

describe('compileGlob', () => {
  it.each([
    ['*', '', true],
    ['*', 'a/b.c\nd', true],
    ['room.*', 'room.a/b', true],
    ['room.*', 'roomxa', false],
    ['a/**', 'a', false],
    ['?', '/', true],
    ['?', '🐘', true],
    ['?', '', false],
    ['[a-c]x', 'bx', true],
    ['[!a-c]x', 'bx', false],
    ['[!a-c]x', 'dx', true],
    ['[]-]', ']', true],
    ['{one,two}', 'two', true],
    ['{one,two}', 'one,two', false],
    ['a,b', 'a,b', true],
    ['a}', 'a}', true],
    ['\\*', '*', true],
    ['\\*', 'x', false],
    ['a.c', 'abc', false],
    ['(a|b)+', '(a|b)+', true],
    ['People', 'people', false],
  ])('%j on %j: %s', (glob, name, expected) => {
    expect(compileGlob(glob).test(name)).toBe(expected)
  })

  it.each(['[abc', '{a,b', '[c-a]'])('refuses %j', glob => {
    expect(() => compileGlob(glob)).toThrow(/is not closed or holds an impossible range/)
  })

  it('matches every name as itself once its special characters are escaped', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (name, other) => {
        const pattern = compileGlob(name.replace(/[*?[\]{},\\]/g, '\\$&'))
        expect(pattern.test(name)).toBe(true)
        expect(pattern.test(other)).toBe(other === name)
      }),
    )
  })
})

describe('channel rules', () => {
  const rules = createChannelRules(['people', 'room.*'], ['room.open'])

  it('allows what a glob matches', () => {
    rules.assertListen('people')
    rules.assertListen('room.1')
    rules.assertPublish('room.open')
  })

  it("refuses the rest in pg_eventserv's words", () => {
    expect(() => rules.assertListen('secret')).toThrow("requested channel 'secret' is not allowed")
    expect(() => rules.assertPublish('people')).toThrow("publishing on channel 'people' is not allowed")
  })

  it('never allows the internal channel', () => {
    const open = createChannelRules(['*', 'listenql'], ['*', 'listenql'])
    expect(() => open.assertListen('listenql')).toThrow('not allowed')
    expect(() => open.assertPublish('listenql')).toThrow('not allowed')
  })
})
