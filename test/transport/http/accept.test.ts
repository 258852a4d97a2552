import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Accepted, acceptsPage, negotiate } from '../../../src/transport/http/accept.js'

const JSON_TYPE = 'application/json'
const GRAPHQL = 'application/graphql-response+json'

describe('an Accept header selects', () => {
  it.each<[string | undefined, Accepted['json'], Accepted['stream'], boolean]>([
    [undefined, JSON_TYPE, 'sse', false],
    ['', JSON_TYPE, 'sse', false],
    ['*/*', JSON_TYPE, 'sse', false],
    ['text/event-stream', undefined, 'sse', true],
    ['Text/Event-Stream', undefined, 'sse', true],
    ['application/json', JSON_TYPE, undefined, false],
    ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', JSON_TYPE, 'sse', false],
    // Apollo Client's HttpLink, for a subscription and for other operations.
    [
      'multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/graphql-response+json,application/json;q=0.9',
      GRAPHQL,
      'multipart',
      false,
    ],
    ['application/graphql-response+json,application/json;q=0.9', GRAPHQL, undefined, false],
    // urql, for a query: its multipart/mixed means incremental delivery.
    [
      'application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed',
      GRAPHQL,
      'sse',
      false,
    ],
    ['text/event-stream;q=0, application/json', JSON_TYPE, undefined, false],
    ['text/event-stream; q=0.0, */*', JSON_TYPE, undefined, false],
    ['*/*;q=0', undefined, undefined, false],
    ['text/*;q=0, */*', JSON_TYPE, undefined, false],
    ['text/*, application/*;q=0.1', JSON_TYPE, 'sse', true],
    ['*/*, application/json;q=0', GRAPHQL, 'sse', false],
    ['application/json;q=0.5, text/event-stream', JSON_TYPE, 'sse', true],
    ['application/json;q=0.5, text/event-stream;q=0.5', JSON_TYPE, 'sse', false],
    ['application/json;charset=utf-8', JSON_TYPE, undefined, false],
    // An invalid weight: the range does not count.
    ['application/json;q=2, text/event-stream;q=', undefined, undefined, false],
    ['application/json;q=x, text/event-stream;q=0.1', undefined, 'sse', true],
    ['multipart/mixed', undefined, undefined, false],
    ['multipart/*', undefined, undefined, false],
    ['multipart/mixed;boundary="a,b;c\\"";subscriptionSpec="1.0";q=0.3', undefined, 'multipart', true],
    ['text/event-stream;q=0.1, multipart/mixed;subscriptionspec=1.0;q=0.2', undefined, 'multipart', true],
    ['image/png', undefined, undefined, false],
    [', ,', undefined, undefined, false],
    [';', undefined, undefined, false],
  ])('%s', (header, json, stream, prefersStream) => {
    expect(negotiate(header)).toEqual({ json, stream, prefersStream })
  })

  const range = fc.record({
    type: fc.constantFrom(
      'application/json',
      'application/*',
      'text/event-stream',
      'text/*',
      '*/*',
      'a/b',
      GRAPHQL,
    ),
    q: fc.constantFrom('', ';q=0', ';q=0.2', '; q=0.5', ';Q=1', ';q=1.000'),
  })
  const written = ({ type, q }: { type: string; q: string }) => `${type}${q}`
  const weight = ({ q }: { q: string }) => Number(q.split('=')[1] ?? 1)

  it('the format by the weight of the most specific range', () => {
    fc.assert(
      fc.property(fc.array(range, { minLength: 1, maxLength: 6 }), ranges => {
        const weightOf = (...types: string[]) => {
          for (const type of types) {
            const found = ranges.filter(one => one.type === type)
            if (found.length > 0) return Math.max(...found.map(weight))
          }
          return 0
        }
        const sse = weightOf('text/event-stream', 'text/*', '*/*')
        const plain = weightOf(JSON_TYPE, 'application/*', '*/*')
        const graphql = weightOf(GRAPHQL, 'application/*', '*/*')
        const accepted = negotiate(ranges.map(written).join(', '))
        expect(accepted.stream).toBe(sse > 0 ? 'sse' : undefined)
        expect(accepted.prefersStream).toBe(sse > Math.max(plain, graphql))
        if (plain > graphql) expect(accepted.json).toBe(JSON_TYPE)
        if (graphql > plain) expect(accepted.json).toBe(GRAPHQL)
        expect(accepted.json === undefined).toBe(plain === 0 && graphql === 0)
      }),
    )
  })

  it('a format for any string, quickly and without an error', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('"', '\\', ',', ';', '=', 'q', '*', '/', 'a', ' ') }),
        text => {
          negotiate(text)
          acceptsPage(text)
        },
      ),
    )
    const long = '"\\,;q='.repeat(3000)
    expect(negotiate(`${long},application/json`).stream).toBeUndefined()
  })
})

it.each([
  [undefined, false],
  ['*/*', false],
  ['application/json', false],
  ['text/html', true],
  ['text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8', true],
  ['text/html;q=0, */*', false],
  ['text/html;q=0.5, application/json', false],
  ['application/json;q=0.5, text/html', true],
])('a page is requested by %s: %s', (header, expected) => {
  expect(acceptsPage(header)).toBe(expected)
})
