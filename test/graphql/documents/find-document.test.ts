import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, expect, it } from 'vitest'
import { createDocuments } from '../../../src/graphql/documents/find-document.js'
import { createPersistedQueries } from '../../../src/graphql/documents/persisted-queries.js'
import { readTrustedDocuments, sha256Of } from '../../../src/graphql/documents/trusted-documents.js'

const folder = mkdtempSync(join(tmpdir(), 'listenql-documents-'))
afterAll(() => rmSync(folder, { recursive: true }))
const file = join(folder, 'documents.json')

const TEXTS = [
  '{ a }',
  '{a}',
  '{ b }',
  'query C { c }',
  'query  C { c }',
  'subscription D { d }',
  'mutation E { e }',
]
const text = fc.constantFrom(...TEXTS)
/** Keys that look like hashes of documents, also of others. */
const key = fc.oneof(
  fc.constantFrom('1', '2', '__proto__', 'toString'),
  text.map(sha256Of),
  text.map(one => `sha256:${sha256Of(one)}`),
)
const request = fc.record(
  {
    query: fc.oneof(text, fc.constant('')),
    documentIds: fc.array(key, { maxLength: 2 }),
    extensions: fc.record({
      persistedQuery: fc.oneof(
        fc.record({ sha256Hash: fc.oneof(key, fc.constant(3)) }, { requiredKeys: [] }),
        fc.constant(null),
      ),
    }),
  },
  { requiredKeys: [] },
)
const tokens = (one: string) => one.match(/\w+|[^\s\w]/g)?.join(' ')

it('where only trusted documents run, each that runs is exactly a text of the file: the one that every id and hash means', () => {
  let ran = 0
  fc.assert(
    fc.property(fc.dictionary(key, text, { minKeys: 1 }), request, (listed, asked) => {
      const entries = Object.entries(listed)
      writeFileSync(file, JSON.stringify(Object.fromEntries(entries)))
      const documents = createDocuments({ trusted: readTrustedDocuments(file), trustedOnly: true })
      const found = documents.find(asked)
      const checked = 'error' in found ? found : documents.check(found.text)
      if (!checked || 'error' in checked) {
        // A key of the file alone is never refused.
        if (!asked.query && !asked.extensions && asked.documentIds?.length === 1)
          expect(entries.map(([id]) => id)).not.toContain(asked.documentIds[0])
        return
      }
      ran++
      expect(entries.map(([, one]) => one)).toContain(checked.text)
      const means = (id: string) => new Map(entries).get(id)
      for (const id of asked.documentIds ?? []) {
        const own = means(id)
        if (own === undefined) expect(id).toMatch(/^sha256:/)
        else expect(tokens(checked.text)).toBe(tokens(own))
        if (own !== undefined && !asked.query) expect(checked.text).toBe(own)
        if (own === undefined)
          expect([checked.text, asked.query].map(one => `sha256:${sha256Of(one ?? '')}`)).toContain(id)
      }
      if (asked.query) expect(tokens(checked.text)).toBe(tokens(asked.query))
    }),
    { numRuns: 2000 },
  )
  expect(ran).toBeGreaterThan(100)
})

const codeOf = (found: ReturnType<ReturnType<typeof createDocuments>['find']>) =>
  'error' in found ? found.error.extensions.code : found.text

it('a document is registered by its hash only if the hash is its own', () => {
  const documents = createDocuments({ persisted: createPersistedQueries(10) })
  const named = (one: string) => ({
    extensions: { persistedQuery: { version: 1, sha256Hash: sha256Of(one) } },
  })
  expect(codeOf(documents.find(named('{ a }')))).toBe('PERSISTED_QUERY_NOT_FOUND')
  expect(codeOf(documents.find({ query: '{ b }', ...named('{ a }') }))).toBe('BAD_REQUEST')
  const found = documents.find({ query: '{ a }', ...named('{ a }') })
  expect(codeOf(documents.find(named('{ a }')))).toBe('PERSISTED_QUERY_NOT_FOUND') // not before it has proved valid
  if (!('error' in found)) found.register?.()
  expect(codeOf(documents.find(named('{ a }')))).toBe('{ a }')
  expect(codeOf(documents.find({ documentIds: [`sha256:${sha256Of('{ a }')}`] }))).toBe('{ a }')
  expect(codeOf(documents.find({ query: '{ b }', ...named('{ a }') }))).toBe('BAD_REQUEST')
})

it('of the registered documents, the most recently used are remembered, within a number and a size', () => {
  const queries = createPersistedQueries(2)
  for (const name of ['a', 'b']) queries.set(name, `{ ${name} }`)
  queries.get('a')
  queries.set('c', '{ c }')
  expect(['a', 'b', 'c'].map(name => queries.get(name))).toEqual(['{ a }', undefined, '{ c }'])
  queries.set('large', ' '.repeat(10 * 2 ** 20))
  expect(queries.get('large')).toBeUndefined()
  const large = createPersistedQueries(1000)
  for (let i = 0; i < 20; i++) large.set(`${i}`, ' '.repeat(2 ** 20))
  expect(Array.from({ length: 20 }, (_, i) => large.get(`${i}`)).filter(Boolean)).toHaveLength(7)
})

it('without stored documents, a name means nothing beside a document, and a name alone asks for the document', () => {
  const documents = createDocuments({})
  const extensions = { persistedQuery: { sha256Hash: 'of another algorithm' } }
  expect(codeOf(documents.find({ query: '{ a }', extensions, documentIds: ['x'] }))).toBe('{ a }')
  expect(codeOf(documents.find({ extensions }))).toBe('PERSISTED_QUERY_NOT_SUPPORTED')
  expect(codeOf(documents.find({ documentIds: ['x'] }))).toBe('PERSISTED_QUERY_NOT_SUPPORTED')
  expect(codeOf(documents.find({}))).toBe('BAD_REQUEST')
})
