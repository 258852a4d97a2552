import { expect, it } from 'vitest'
import { SubscriptionError } from '../../../src/client/index.js'

it.each<[string, unknown, { message: string; code: string | undefined }]>([
  [
    'GraphQL errors',
    [{ message: 'no', extensions: { code: 'FORBIDDEN' } }],
    { message: 'no', code: 'FORBIDDEN' },
  ],
  ['GraphQL errors without a code', [{ message: 'no' }], { message: 'no', code: undefined }],
  [
    'a refused token',
    { code: 4401, reason: 'Unauthorized' },
    { message: 'connection closed: 4401 Unauthorized: sign in again', code: '4401' },
  ],
  [
    'a refused role',
    { code: 4403, reason: 'Forbidden' },
    {
      message: 'connection closed: 4403 Forbidden: see the log of the server',
      code: '4403',
    },
  ],
  [
    'another close of that code',
    { code: 4403, reason: 'Session ended' },
    { message: 'connection closed: 4403 Session ended', code: '4403' },
  ],
  [
    'a close without a reason',
    { code: 1006, reason: '' },
    { message: 'connection closed: 1006', code: '1006' },
  ],
  ['an error of the application', new TypeError('mine'), { message: 'mine', code: undefined }],
  [
    'the event of a browser',
    new Event('error'),
    { message: 'connection closed: unknown reason', code: undefined },
  ],
  ['nothing', undefined, { message: 'connection closed: unknown reason', code: undefined }],
])('has message and code of %s', (_what, reason, expected) => {
  const error = new SubscriptionError(reason)
  expect({ message: error.message, code: error.code }).toEqual(expected)
  expect(error.cause).toBe(reason)
  expect(error.errors).toEqual(Array.isArray(reason) ? reason : [])
})

it('has the hint of the first GraphQL error', () => {
  const extensions = { code: 'LIMIT_EXCEEDED', hint: 'show a page' }
  expect(new SubscriptionError([{ message: 'no', extensions }, { message: 'nor' }]).hint).toBe('show a page')
  expect(new SubscriptionError(new Error('mine')).hint).toBe(undefined)
})
