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

/** Backtracking tries every way to split the glob, which is correct for short names and does not end for long ones. */
function matchesNaively(glob: readonly string[], name: readonly string[]): boolean {
  const [first] = glob
  if (first === undefined) return name.length === 0
  const rest = glob.slice(1)
  if (first === '*') {
    return name.some((_, at) => matchesNaively(rest, name.slice(at))) || matchesNaively(rest, [])
  }
  if (first.startsWith('{')) {
    return first
      .slice(1, -1)
      .split(',')
      .some(alternative => matchesNaively([...alternative, ...rest], name))
  }
  const [character] = name
  return character !== undefined && takes(first, character) && matchesNaively(rest, name.slice(1))
}

function takes(part: string, character: string): boolean {
  if (part === '?') return true
  if (part === '[a-b]') return character === 'a' || character === 'b'
  return part === '[!a-b]' ? character !== 'a' && character !== 'b' : part === character
}

function stepsOf(glob: string, name: string): number {
  let steps = 0
  compileGlob(glob).test(name, () => {
    steps++
  })
  return steps
}

describe('a glob', () => {
  it('matches the same names as a naive matcher', () => {
    const part = fc.constantFrom(
      'a',
      'b',
      '🐘',
      '*',
      '*',
      '?',
      '[a-b]',
      '[!a-b]',
      '{a,b*}',
      '{,?b}',
      '{*a,ab,c}',
    )
    const name = fc.array(fc.constantFrom('a', 'b', 'c', '🐘', '\n'), { maxLength: 8 })
    fc.assert(
      fc.property(fc.array(part, { maxLength: 7 }), name, (parts, characters) => {
        const glob = compileGlob(parts.join(''))
        expect(glob.test(characters.join(''))).toBe(matchesNaively(parts, characters))
        expect(glob.test(characters.join(''))).toBe(matchesNaively(parts, characters)) // The matcher can be used again.
      }),
      { numRuns: 2000 },
    )
  })

  it('may have alternatives within alternatives', () => {
    const glob = compileGlob('{a,{b,c*}x}y{,{z}}')
    const names = ['ay', 'bxy', 'cxy', 'c..xyz', 'by', 'axy', 'cy', 'ayzz']
    expect(names.map(name => glob.test(name))).toEqual([true, true, true, true, false, false, false, false])
  })

  it.each([
    ['chat:*:room:*:user:*', 'chat:room:user:'],
    ['*a'.repeat(30), 'a'],
    ['*'.repeat(300), 'ab'],
    ['*?'.repeat(30), 'x'],
    ['{a,aa}'.repeat(20), 'a'],
    [`${'{a*,*a}'.repeat(15)}b`, 'a'],
    [`*${'{a,{a,{a,*}}}'.repeat(10)}[!a]`, 'a'],
    [`{${'*a,'.repeat(50)}}{${'*a,'.repeat(50)}}b`, 'a'],
  ])('takes steps in the order of name length times glob length: %j', (glob, unit) => {
    for (const length of [63, 1000, 4000]) {
      const name = unit.repeat(length / unit.length)
      expect(stepsOf(glob, name)).toBeLessThan(4 * (name.length + 1) * (glob.length + 1))
    }
  })

  it('stays within that bound for any glob and name', () => {
    const part = fc.constantFrom('a', 'b', '*', '?', '{a,b}', '{*,a*}', '{a{b,*a},}', '[ab]')
    fc.assert(
      fc.property(fc.array(part), fc.array(fc.constantFrom('a', 'b')), (parts, characters) => {
        const glob = parts.join('')
        const bound = 4 * (characters.length + 1) * (glob.length + 1)
        expect(stepsOf(glob, characters.join(''))).toBeLessThanOrEqual(bound)
      }),
    )
  })
})

describe('channel rules', () => {
  const rules = createChannelRules(['people', 'room.*'], ['room.open'])

  it('allow names that a glob matches', () => {
    rules.assertListen('people')
    rules.assertListen('room.1')
    rules.assertPublish('room.open')
  })

  it('refuse other names in the words of pg_eventserv', () => {
    expect(() => rules.assertListen('secret')).toThrow("requested channel 'secret' is not allowed")
    expect(() => rules.assertPublish('people')).toThrow("publishing on channel 'people' is not allowed")
  })

  it('tell beforehand what may be published on', () => {
    const names = ['room.open', 'people', '', 'x'.repeat(64), 'listenql']
    expect(names.filter(rules.mayPublish)).toEqual(['room.open'])
    expect(names.filter(createChannelRules([], ['*']).mayPublish)).toEqual(['room.open', 'people'])
  })

  it('check the length of a name before its patterns', () => {
    const slow = createChannelRules(['chat:*:room:*:user:*'], ['chat:*:room:*:user:*'])
    const name = `chat:${':room:user'.repeat(30_000)}`
    for (const ask of [slow.assertListen, slow.assertPublish]) {
      expect(() => ask(name)).toThrow(expect.objectContaining({ code: 'CHANNEL_NAME_INVALID' }))
    }
    expect(() => slow.assertListen('x'.repeat(64))).toThrow('63 bytes at most')
    expect(() => slow.assertListen('chat:1:room:2')).toThrow('not allowed')
    slow.assertListen('chat:1:room:2:user:3')
  })

  it('never allow the internal channel', () => {
    const open = createChannelRules(['*', 'listenql'], ['*', 'listenql'])
    expect(() => open.assertListen('listenql')).toThrow('not allowed')
    expect(() => open.assertPublish('listenql')).toThrow('not allowed')
  })
})
