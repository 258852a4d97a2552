import { describe, expect, it } from 'vitest'
import { isWorthRetrying } from '../../../src/client/connection/is-worth-retrying.js'

describe('a retry is worthwhile', () => {
  it.each([
    ['a failed connection in a browser', new Event('error'), true],
    ['the end of a connection', { code: 1006, reason: '' }, true],
    ['a restart of the server', { code: 1012, reason: 'restart' }, true],
    [
      'a terminated connection',
      Object.assign(new Error('4499: Terminated'), { code: 4499, reason: 'Terminated' }),
      true,
    ],
    ['a forbidden operation', { code: 4403, reason: 'Forbidden' }, false],
    ['an expired token', { code: 4403, reason: 'Token expired' }, true],
    ['a kick', { code: 4403, reason: 'Session ended' }, true],
    ['an error of the application', new TypeError('x is not a function'), false],
  ])('after %s: %s', (_what, reason, worth) => {
    expect(isWorthRetrying(reason)).toBe(worth)
  })
})
