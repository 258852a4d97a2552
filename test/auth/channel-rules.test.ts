import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createAccessRules } from '../../src/auth/channel-rules.js'
import { compileGlob } from '../../src/lib/glob.js'
import { parseClaimPattern } from '../../src/lib/patterns/claim-pattern.js'

const rules = createAccessRules(
  { everybody: ['news'], roles: { user: ['people', `room:\${claims.room}`, `user.\${claims.sub}.*`] } },
  { everybody: [], roles: { user: [`room:\${claims.room}`], admin: ['*'] } },
)
const may = (role: string | undefined, claims: Record<string, unknown>, channel: string) => {
  try {
    rules.for({ role, claims }).assertListen(channel)
    return true
  } catch {
    return false
  }
}

describe('the channels of a role', () => {
  it.each([
    ['user', { sub: '42', room: 'a' }, 'people', true],
    ['user', { sub: '42', room: 'a' }, 'news', true],
    ['user', { sub: '42', room: 'a' }, 'room:a', true],
    ['user', { sub: '42', room: 'a' }, 'room:b', false],
    ['user', { sub: 42 }, 'user.42.inbox', true],
    ['user', { sub: 42 }, 'user.43.inbox', false],
    ['user', { sub: 42 }, 'room:undefined', false],
    ['user', { sub: '*' }, 'user.43.inbox', false],
    ['user', { sub: '*' }, 'user.*.inbox', true],
    ['user', { room: '{a,b}' }, 'room:a', false],
    ['user', { room: '[a-z]' }, 'room:b', false],
    ['user', { room: '\\' }, 'room:\\', true],
    ['user', { room: '' }, 'room:', false],
    ['user', { room: ['a'] }, 'room:a', false],
    ['user', { room: null }, 'room:null', false],
    ['user', { room: { toString: 'a' } }, 'room:a', false],
    ['user', {}, 'room:', false],
    ['constructor', {}, 'people', false],
    ['__proto__', {}, 'people', false],
    ['other', { room: 'a' }, 'room:a', false],
    [undefined, { room: 'a' }, 'room:a', false],
    [undefined, {}, 'news', true],
  ] as const)('for role %s with claims %j include %s: %s', (role, claims, channel, expected) => {
    expect(may(role, claims, channel)).toBe(expected)
  })

  it('never include the internal channels', () => {
    for (const channel of ['listenql', 'listenql_kick', 'listenql_proof']) {
      expect(() => rules.for({ role: 'admin', claims: {} }).assertPublish(channel)).toThrow('not allowed')
    }
  })

  it('are listed with the values of claims', () => {
    expect(rules.for({ role: 'user', claims: { room: 'a*' } }).listen).toEqual([
      'news',
      'people',
      'room:a\\*',
    ])
  })
})

describe('a claim in a pattern', () => {
  it('matches its own text and nothing else', () => {
    const pattern = parseClaimPattern(`a*{\${claims.x},-}?`)
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), fc.string(), (value, other) => {
        const glob = compileGlob(pattern.globFor({ x: value }) as string)
        expect(glob.test(`a${other}${value}!`)).toBe(true)
        const exact = compileGlob(parseClaimPattern(`\${claims.x}`).globFor({ x: value }) as string)
        expect(exact.test(other)).toBe(other === value)
      }),
    )
  })

  it('that is longer than any channel name matches none, and is not stored', () => {
    const globs = createAccessRules(
      { everybody: [`{news,room:\${claims.room}}`, `\${claims.room}*`], roles: {} },
      { everybody: [], roles: {} },
    )
    for (const unit of ['a', '🐘', '*']) {
      const viewer = globs.for({ role: undefined, claims: { room: unit.repeat(100_000) } })
      viewer.assertListen('news')
      for (const length of [10, 15, 57, 58, 63]) {
        expect(() => viewer.assertListen('a'.repeat(length))).toThrow('not allowed')
        expect(() => viewer.assertListen(`room:${'a'.repeat(length - 5)}`)).toThrow('not allowed')
      }
      expect(viewer.listen.join('').length).toBeLessThan(600)
    }
    const exact = globs.for({ role: undefined, claims: { room: 'a'.repeat(63) } })
    exact.assertListen('a'.repeat(63))
  })

  it('may be nested in the token, but is never an inherited property of objects', () => {
    const glob = (path: string, claims: Record<string, unknown>) =>
      parseClaimPattern(`\${claims.${path}}`).globFor(claims)
    expect(glob('app.org', { app: { org: 7 } })).toBe('7')
    expect(glob('https://x.y/org', { 'https://x.y/org': 'o' })).toBe('o')
    for (const path of ['constructor.name', '__proto__.x', 'app.length', 'toString']) {
      expect(glob(path, { app: 'text' })).toBeUndefined()
    }
  })

  it.each([`[\${claims.x}]`, `\${claim.x}`, `\${claims.}`, `\${}`, `a{b,\${claims.x}`, `[]\${claims.x}]`])(
    'is refused in %s',
    pattern => {
      expect(() => parseClaimPattern(pattern)).toThrow(expect.objectContaining({ code: 'BAD_CONFIGURATION' }))
    },
  )
})
