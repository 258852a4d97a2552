import { expect, it } from 'vitest'
import { acceptedKinds } from '../../src/transport/accept.js'

it.each([
  [undefined, ['json', 'sse']],
  ['*/*', ['json', 'sse']],
  ['text/event-stream', ['sse']],
  ['application/json', ['json']],
  ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', ['json', 'sse']],
  // Apollo Client's HttpLink, for a subscription
  [
    'multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/graphql-response+json,application/json;q=0.9',
    ['multipart', 'json'],
  ],
  // urql, for a query: its multipart is incremental delivery
  [
    'application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed',
    ['json', 'sse'],
  ],
  ['text/event-stream;q=0, application/json', ['json']],
  ['application/json;q=0.5, text/event-stream', ['sse', 'json']],
  ['image/png', []],
])('%s', (header, kinds) => {
  expect(acceptedKinds(header)).toEqual(kinds)
})
