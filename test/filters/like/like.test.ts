import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileLike, foldCase } from '../../../src/filters/like/like.js'
import { Work } from '../../../src/filters/work.js'

/** As in the manual, one alternative after the other: correct, but extremely slow for long texts. */
function likeNaively(pattern: readonly string[], text: readonly string[]): boolean {
  const [first, ...rest] = pattern
  if (first === undefined) return text.length === 0
  if (first === '%') {
    for (let at = 0; at <= text.length; at++) if (likeNaively(rest, text.slice(at))) return true
    return false
  }
  const [character] = text
  if (character === undefined || (first !== '_' && first.at(-1) !== character.at(-1))) return false
  return (first === '_' || [...first].at(-1) === character) && likeNaively(rest, text.slice(1))
}

function stepsOf(pattern: string, text: string): number {
  const work = new Work()
  compileLike(pattern)?.(text, work)
  return work.steps
}

const part = fc.constantFrom('a', 'b', '🐘', '%', '%', '_', '_', '\\a', '\\%', '\\_', '\\\\', '\\🐘')
const text = fc.array(fc.constantFrom('a', 'a', 'b', '🐘', '🐙', '%', '_', '\\'), { maxLength: 12 })

describe('LIKE', () => {
  it('matches what a naive matcher matches', () => {
    fc.assert(
      fc.property(fc.array(part, { maxLength: 9 }), text, (parts, characters) => {
        const like = compileLike(parts.join(''))
        const expected = likeNaively(parts, characters)
        expect(like?.(characters.join(''), new Work())).toBe(expected)
        expect(like?.(characters.join(''), new Work())).toBe(expected) // a compiled pattern can be used again
      }),
      { numRuns: 3000 },
    )
  })

  /** Long texts take other paths: they consist of pieces that are likely to match nearly everywhere. */
  const units = fc.constantFrom('a', 'ab', 'aa', 'aab', 'a🐘', 'aXb')
  const gapped = fc.array(fc.constantFrom('a', 'a', 'b', '_', '_', 'X', '🐘'), {
    minLength: 2,
    maxLength: 90,
  })
  it('matches in long texts, with and without gaps', () => {
    fc.assert(
      fc.property(
        units,
        fc.nat(120),
        gapped,
        fc.nat(60),
        fc.boolean(),
        (unit, times, wanted, at, isThere) => {
          const filled = wanted.map(each => (each === '_' ? '🐙' : each)).join('')
          const noise = unit.repeat(times)
          const place = [...noise].slice(0, at).join('')
          const searched = isThere ? place + filled + noise : noise
          const pattern = wanted.join('')
          const expected = [...searched].some((_, start) => {
            const window = [...searched].slice(start, start + wanted.length)
            return (
              window.length === wanted.length && wanted.every((each, i) => each === '_' || each === window[i])
            )
          })
          expect(compileLike(`%${pattern}%`)?.(searched, new Work())).toBe(expected)
          expect(compileLike(`%${pattern}%%${pattern}%`)?.(searched + searched, new Work())).toBe(expected)
          if (isThere) expect(compileLike(`%${pattern}${noise}`)?.(searched, new Work())).toBe(true)
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('places a piece by where it ends, not by where it could begin', () => {
    const matches = (pattern: string, value: string) => compileLike(pattern)?.(value, new Work())
    expect(matches('%aba%ab%', 'abab')).toBe(false)
    expect(matches('%__a%', 'ba')).toBe(false)
    expect(matches('%_%_%', '🐘')).toBe(false)
    expect(matches('%_%_%', '🐘🐘')).toBe(true)
    expect(matches(`%${'ab'.repeat(40)}%`, 'ab'.repeat(39))).toBe(false)
    expect(matches(`%${'ab'.repeat(40)}a%`, `xab${'ab'.repeat(40)}a`)).toBe(true)
  })

  const long = 10_000
  it.each([
    ['many pieces', '%a'.repeat(long / 2), 'a', 2],
    ['one long text', `%${'a'.repeat(long - 1)}b%`, 'a', 4],
    ['a long text with another beginning', `%b${'a'.repeat(long - 1)}%`, 'a', 2],
    ['a short text', '%aaaaaaaaaaaaaaaaaaaaaaaaaaaaab%', 'a', 4],
    ['gaps at both ends', `%${'_'.repeat(long / 2)}ab${'_'.repeat(long / 2 - 2)}%`, 'a', 2],
    ['only gaps', `%${'_%'.repeat(long / 2)}x%`, 'a', 3],
    ['a gap in a short text', '%a_b%', 'a', 5],
    ['many short texts with gaps', '%a_a_a_b'.repeat(long / 8), 'a', 5],
    ['gaps in a long text', `%${'a_'.repeat(long / 2)}b%`, 'a', long / 16 + 20],
    [
      'gaps in a text of many distinct letters',
      `%${'abcdefghij_'.repeat(long / 11)}x%`,
      'abcdefghijk',
      long / 16 + 20,
    ],
  ])('takes a number of steps proportional to the text for %s', (_name, pattern, unit, each) => {
    for (const length of [1000, 20_000, 100_000]) {
      const value = unit.repeat(length / unit.length)
      expect(stepsOf(pattern, value)).toBeLessThan(each * (value.length + pattern.length))
    }
  })

  it('takes no more steps for any pattern and text', () => {
    fc.assert(
      fc.property(
        fc.array(part, { maxLength: 60 }),
        fc.array(fc.constantFrom('a', 'b')),
        (parts, characters) => {
          const pattern = parts.join('')
          const words = Math.ceil(pattern.length / 32)
          expect(stepsOf(pattern, characters.join(''))).toBeLessThanOrEqual(
            (2 * words + 4) * (characters.length + pattern.length + 1),
          )
        },
      ),
    )
  })

  it('aborts when its budget of steps is used up', () => {
    const like = compileLike(`%${'a_'.repeat(1000)}b%`)
    const work = new Work(10_000)
    expect(() => like?.('a'.repeat(1_000_000), work)).toThrow(
      expect.objectContaining({ code: 'LIMIT_EXCEEDED', limit: 'maxFilterWork', max: 10_000 }),
    )
    expect(work.steps).toBeLessThan(200_000)
  })
})

it('case folding changes only A to Z', () => {
  expect(foldCase('AbcZ ÄÖİ🐘')).toBe('abcz ÄÖİ🐘')
})
