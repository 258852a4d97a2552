import fc from 'fast-check'
import { type DocumentNode, parse } from 'graphql'
import { expect, it } from 'vitest'
import { printDocument } from '../../src/client/print-document.js'

const DOCUMENTS = [
  '{ a }',
  'query Q { a: b(c: 1, d: -2.5e3, e: true, f: null, g: ENUM, h: "x", i: [1, [2], []], j: {k: {l: $m}, n: {}}) { o p } }',
  'subscription S($a: [Int!]! = [1 2] @x, $b: In = {c: "d"}, $e: String) @y(z: $e) { f(b: $b) @include(if: true) @skip(if: $a) { g } }',
  'query { ...F ... on T @d { a } ... { b } ... @include(if: $c) { c } } fragment F on T @e(f: [1]) { g { h } }',
  'mutation M { m(text: """block "quoted"\n  indented""") }',
  'query A { a } query B { b }',
]

const withoutPlaces = (document: DocumentNode): unknown =>
  JSON.parse(JSON.stringify(document, (key, value) => (key === 'loc' || key === 'block' ? undefined : value)))

it.each(DOCUMENTS)('the text of a document has the same meaning: %s', text => {
  const document = parse(text, { noLocation: true })
  expect(withoutPlaces(parse(printDocument(document)))).toEqual(withoutPlaces(document))
})

it('a string keeps every character', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), text => {
      const document = parse(`{ a(b: ${JSON.stringify(text)}) }`)
      expect(withoutPlaces(parse(printDocument(document)))).toEqual(withoutPlaces(document))
    }),
  )
})

it('the definition of a type is left out, since it is not a part of requests', () => {
  expect(printDocument(parse('type T { a: Int } { a }')).trim()).toBe('query  {a}')
})
