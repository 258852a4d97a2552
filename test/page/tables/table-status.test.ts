import { expect, it } from 'vitest'
import { listStatus } from '../../../page/tables/table-status.js'
import { SubscriptionError } from '../../../src/client/subscription/subscription-error.js'

const words = { loading: 'Reading…', live: 'Live' }
const error = new SubscriptionError([{ message: 'the role may not', extensions: { code: 'FORBIDDEN' } }])

it('a list says that it is live only while it is', () => {
  expect(listStatus('live', undefined, false, words)).toEqual({ state: 'listening', text: 'Live' })
  for (const state of ['loading', 'catching-up', 'offline', 'failed', 'closed'] as const)
    expect(listStatus(state, undefined, false, words).text).not.toBe('Live')
  expect(listStatus('live', undefined, true, words)).toEqual({
    state: 'waiting',
    text: 'Waiting for the database',
  })
})

it('a list says why it was refused, or that it tries again', () => {
  expect(listStatus('failed', error, true, words)).toEqual({ state: 'refused', text: 'the role may not' })
  expect(listStatus('offline', error, false, words)).toEqual({
    state: 'waiting',
    text: 'the role may not Trying again…',
  })
  expect(listStatus('offline', undefined, true, words).text).toBe('Reconnecting…')
})
