import { expect, it } from 'vitest'
import { ANONYMOUS, type Viewer, viewerKey } from '../../src/auth/viewer.js'

const viewer = (role: string | undefined, claims: Viewer['claims']): Viewer => ({
  ...ANONYMOUS,
  role,
  claims,
})

it('a renewed token has the viewer key of the former one', () => {
  const before = viewer('user', { sub: '42', org: { a: 1, b: 2 }, exp: 1, iat: 2, nbf: 3, jti: 'x' })
  const after = viewer('user', { org: { b: 2, a: 1 }, sub: '42', exp: 9, iat: 8, nbf: 7, jti: 'y' })
  expect(viewerKey(after, true)).toBe(viewerKey(before, true))
})

it('viewer keys differ by role, and by claims if claims matter', () => {
  const one = viewer('user', { sub: '42' })
  const other = viewer('user', { sub: 42 })
  expect(viewerKey(one, true)).not.toBe(viewerKey(other, true))
  expect(viewerKey(one, false)).toBe(viewerKey(other, false))
  expect(viewerKey(viewer('admin', {}), false)).not.toBe(viewerKey(viewer('user', {}), false))
  expect(viewerKey(viewer('null', {}), false)).not.toBe(viewerKey(ANONYMOUS, false))
  expect(viewerKey(viewer(undefined, { role: 'user' }), true)).not.toBe(viewerKey(viewer('user', {}), true))
})
