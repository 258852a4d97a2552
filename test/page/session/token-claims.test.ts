import { expect, it } from 'vitest'
import { claimsOf } from '../../../page/session/token-claims.js'

const token = (claims: object) => `h.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.s`

it('the name and the end of a token are read from it', () => {
  expect(claimsOf(token({ sub: 'Zoë?>', role: 'member', exp: 1_800_000_000 }))).toEqual({
    name: 'Zoë?>',
    expires: new Date(1_800_000_000_000),
  })
  expect(claimsOf(token({ role: 'member' }))).toEqual({ name: 'member', expires: undefined })
})

it.each(['', 'no token', 'a.b.c', `h.${Buffer.from('[]').toString('base64url')}.s`])(
  '%j has no claims',
  text => {
    expect(claimsOf(text)).toEqual({ name: undefined, expires: undefined })
  },
)
