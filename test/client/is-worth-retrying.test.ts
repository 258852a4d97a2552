import { describe, expect, it } from 'vitest'
import { isWorthRetrying } from '../../src/client/is-worth-retrying.js'

describe('what is worth another try', () => {
  it.each([
    ['a browser that could not connect', new Event('error'), true],
    ['the end of a connection', { code: 1006, reason: '' }, true],
    ['a server that restarts', { code: 1012, reason: 'restart' }, true],
    [
      'a terminated one',
      Object.assign(new Error('4499: Terminated'), { code: 4499, reason: 'Terminated' }),
      true,
    ],
    ['what may not be', { code: 4403, reason: 'Forbidden' }, false],
    ['a token that has expired', { code: 4403, reason: 'Token expired' }, true],
    ['somebody who was kicked', { code: 4403, reason: 'Session ended' }, true],
    ['an error of the application', new TypeError('x is not a function'), false],
  ])('%s: %s', (_what, reason, worth) => {
    expect(isWorthRetrying(reason)).toBe(worth)
  })
})
