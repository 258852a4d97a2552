import { GraphQLError } from 'graphql'
import { expect, it } from 'vitest'
import { stringifyResult } from '../../../src/graphql/result.js'
import { retryTime } from '../../../src/transport/http/retry.js'

const SOON = 1000
const LATER = 10_000
const RARELY = 300_000

it.each<[number, string, Record<string, unknown>?]>([
  [RARELY, 'GRAPHQL_PARSE_FAILED'],
  [RARELY, 'GRAPHQL_VALIDATION_FAILED'],
  [RARELY, 'BAD_USER_INPUT'],
  [RARELY, 'CHANNEL_NOT_ALLOWED'],
  [RARELY, 'FORBIDDEN'],
  [RARELY, 'CURSOR_EXPIRED'],
  [RARELY, 'CURSOR_INVALID'],
  [RARELY, 'LIMIT_EXCEEDED', { limit: 'maxDepth' }],
  [LATER, 'LIMIT_EXCEEDED', { limit: 'maxSubscriptionsPerViewer' }],
  [LATER, 'LIMIT_EXCEEDED', { limit: 'maxClientMemory' }],
  [LATER, 'LIMIT_EXCEEDED', { limit: 'filterRate' }],
  [LATER, 'SCHEMA_CHANGED'],
  [LATER, 'DATABASE_FAILED'],
  [LATER, 'QUERY_TIMEOUT'],
  [LATER, 'INTERNAL_SERVER_ERROR'],
  [LATER, 'UNAUTHENTICATED'],
])('a client reconnects after %d ms if the error is %s', (expected, code, extensions = {}) => {
  const errors = [new GraphQLError('"errors" }', { extensions: { ...extensions, code } })]
  for (const result of [{ errors }, { data: null, errors }, { errors, data: { channels: [] } }])
    expect(retryTime(stringifyResult(result), false)).toBe(expected)
})

it('a client whose refused cursor is dropped reconnects soon', () => {
  for (const code of ['CURSOR_EXPIRED', 'CURSOR_INVALID']) {
    const json = stringifyResult({ data: null, errors: [new GraphQLError('', { extensions: { code } })] })
    expect(retryTime(json, true)).toBe(SOON)
  }
})

it('a client that got the result of a query rarely repeats it', () => {
  expect(retryTime(stringifyResult({ data: { channels: ['"code":"CURSOR_EXPIRED"'] } }), true)).toBe(RARELY)
})
