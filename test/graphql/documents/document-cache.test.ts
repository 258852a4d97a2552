import { expect, it } from 'vitest'
import { createDocumentCache } from '../../../src/graphql/documents/document-cache.js'

it('the cache keeps the most recently used documents, up to a limit of characters', () => {
  const cache = createDocumentCache<string>(10)
  cache.set('aaaa', 'A')
  cache.set('bbbb', 'B')
  expect(cache.get('aaaa')).toBe('A')
  cache.set('cccc', 'C') // twelve characters: the least recently used document is evicted
  expect([cache.get('aaaa'), cache.get('bbbb'), cache.get('cccc')]).toEqual(['A', undefined, 'C'])
})

it('the cache neither keeps a document larger than its limit nor evicts others for it', () => {
  const cache = createDocumentCache<string>(10)
  cache.set('aaaa', 'A')
  cache.set('b'.repeat(11), 'B')
  expect([cache.get('aaaa'), cache.get('b'.repeat(11))]).toEqual(['A', undefined])
})

it('the cache counts a document once, however often it is set', () => {
  const cache = createDocumentCache<string>(10)
  for (let i = 0; i < 100; i++) cache.set('aaaa', `A${i}`)
  cache.set('bbbbbb', 'B')
  expect([cache.get('aaaa'), cache.get('bbbbbb')]).toEqual(['A99', 'B'])
})
