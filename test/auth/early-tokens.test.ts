import { expect, it } from 'vitest'
import { createDatabaseClock } from '../../src/auth/database-clock.js'
import { createEarlyTokens, fingerprintOf } from '../../src/auth/early-tokens.js'
import { createKicks } from '../../src/auth/kicks.js'
import { parseExactJson } from '../../src/lib/json/exact-json.js'

const token = (sub: string, issuedAt: number | undefined, more = {}) => ({
  claims: { sub, ...more },
  issuedAt,
})

it('early tokens are found by claim and time, once each, and forgotten', () => {
  const early = createEarlyTokens()
  for (const issuedAt of [1000, 2000, 2000]) early.add(token('a', issuedAt, { groups: ['x', 'y'] }))
  early.add(token('b', 5000))
  expect(early.size).toBe(3)
  expect(early.holding('sub', 'a', 1001)).toEqual([fingerprintOf(token('a', 2000, { groups: ['x', 'y'] }))])
  expect(early.holding('groups', 'y', 0).length).toBe(2)
  expect(early.holding('sub', 'c', 0)).toEqual([])
  early.forget(2000)
  expect(early.holding('sub', 'a', 0).length).toBe(1)
  early.forget(6000)
  expect(early.size).toBe(0)
})

it('early tokens make room for newer ones', () => {
  const early = createEarlyTokens(2)
  for (const sub of ['a', 'b', 'a', 'c']) early.add(token(sub, 1000))
  expect(['a', 'b', 'c'].map(sub => early.holding('sub', sub, 0).length)).toEqual([1, 0, 1])
})

it('a fingerprint identifies one token, whatever its claims', () => {
  const big = (digits: string) => ({
    claims: parseExactJson(`{"tenant":${digits}}`) as Record<string, unknown>,
    issuedAt: 1,
  })
  const all = [
    token('a', 1),
    token('a', 2),
    token('a', undefined),
    token('a', 1, { jti: 'x' }),
    token('b', 1),
    token('a', 1, { n: 1n }),
    big('9007199254740993'),
    big('9007199254740992'),
  ]
  expect(new Set(all.map(fingerprintOf)).size).toBe(all.length)
  expect(fingerprintOf({ claims: { b: 1, a: 2 }, issuedAt: 1 })).toBe(
    fingerprintOf({ claims: { a: 2, b: 1 }, issuedAt: 1 }),
  )
})

it('viewers without a token are ended by a kick and accepted after it, even if the kick lists refused tokens', () => {
  const kicks = createKicks({ now: () => 1000 })
  const viewer = {
    role: 'anon',
    claims: { role: 'anon' },
    issuedAt: Number.POSITIVE_INFINITY,
    expiresAt: undefined,
  }
  const before = kicks.accept(viewer)
  kicks.add([{ id: '1', claim: 'role', value: 'anon', at: 1500, tokens: [fingerprintOf(token('a', 9000))] }])
  expect([kicks.hits(before), kicks.hits(viewer), kicks.hits(kicks.accept(viewer))]).toEqual([
    true,
    false,
    false,
  ])
  expect(kicks.extensions()).toEqual([])
})

it('a kick that is read again ends no session, and an earlier kick that is committed later ends sessions', () => {
  const kicks = createKicks({ now: () => 1000 })
  const later = { id: '2', claim: 'sub', value: 'a', at: 1500, tokens: [] }
  const viewer = { role: 'user', ...token('a', 2000), expiresAt: undefined }
  kicks.add([later])
  const accepted = kicks.accept(viewer)
  expect([kicks.add([later]), kicks.hits(accepted)]).toEqual([false, false])
  expect([kicks.add([{ ...later, id: '1', at: 1400 }]), kicks.hits(accepted)]).toEqual([true, true])
  expect(kicks.extensions()).toEqual([{ id: '1', tokens: [fingerprintOf(viewer)] }])
})

it('the clock of the database continues from the time that the database reported', () => {
  const clock = createDatabaseClock()
  expect(Math.abs(clock.now() - Date.now())).toBeLessThan(60_000)
  clock.set(5000)
  const first = clock.now()
  expect(first).toBeGreaterThanOrEqual(5000)
  expect(first).toBeLessThan(65_000)
  expect(clock.now()).toBeGreaterThanOrEqual(first)
})
