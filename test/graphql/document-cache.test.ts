import { expect, it } from 'vitest'
import { createDocumentCache } from '../../src/graphql/document-cache.js'

it('keeps what was used last, up to a limit of characters', () => {
  const cache = createDocumentCache<string>(10)
  cache.set('aaaa', 'A')
  cache.set('bbbb', 'B')
  expect(cache.get('aaaa')).toBe('A')
  cache.set('cccc', 'C') // twelve characters: the one that nobody asked for goes
  expect([cache.get('aaaa'), cache.get('bbbb'), cache.get('cccc')]).toEqual(['A', undefined, 'C'])
})

it('does not keep what is larger than all of it, nor forget the others for it', () => {
  const cache = createDocumentCache<string>(10)
  cache.set('aaaa', 'A')
  cache.set('b'.repeat(11), 'B')
  expect([cache.get('aaaa'), cache.get('b'.repeat(11))]).toEqual(['A', undefined])
})

it('counts a document once, however often it is set', () => {
  const cache = createDocumentCache<string>(10)
  for (let i = 0; i < 100; i++) cache.set('aaaa', `A${i}`)
  cache.set('bbbbbb', 'B')
  expect([cache.get('aaaa'), cache.get('bbbbbb')]).toEqual(['A99', 'B'])
})
