import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { tokenExpiry } from '../../../src/client/connection/token-expiry.js'
import { sign, signText } from '../../support/tokens.js'

describe('the expiry of the token in connectionParams', () => {
  it.each(['Authorization', 'authorization'])(
    'is found in %s, with Bearer or without, also below headers',
    async name => {
      const token = await sign({ exp: 1_900_000_000 })
      for (const value of [token, `Bearer ${token}`, `bearer  ${token}`]) {
        expect(tokenExpiry({ [name]: value })).toBe(1_900_000_000_000)
        expect(tokenExpiry({ headers: { [name]: value } })).toBe(1_900_000_000_000)
      }
    },
  )

  it('is read whatever characters the claims have', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme' }), fc.nat(2_000_000_000), async (sub, exp) => {
        expect(tokenExpiry({ authorization: await sign({ sub, exp }) })).toBe(exp * 1000)
      }),
    )
  })

  it.each([
    ['nothing', undefined],
    ['no token', { other: 1 }],
    ['a token of another kind', { authorization: 'Bearer 0123456789abcdef' }],
    ['a token without exp', { authorization: signText('{"sub":"ann"}') }],
    ['an exp that is no number', { authorization: signText('{"exp":"soon"}') }],
    ['a payload that is no JSON', { authorization: signText('{"exp":') }],
    ['a payload that is null', { authorization: signText('null') }],
    ['headers that are null', { headers: null }],
  ])('is unknown for %s', (_what, params) => {
    expect(tokenExpiry(params)).toBeUndefined()
  })
})
