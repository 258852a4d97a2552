import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generate } from '@graphql-codegen/cli'
import { print } from 'graphql'
import { afterAll, describe, expect, it } from 'vitest'
import { printDocument } from '../../../src/client/print-document.js'
import { codegenConfig } from '../../../src/codegen/codegen-config.js'
import { readTrustedDocuments } from '../../../src/graphql/documents/trusted-documents.js'
import { ListenqlError } from '../../../src/lib/errors.js'

const folder = mkdtempSync(join(tmpdir(), 'listenql-trusted-'))
afterAll(() => rmSync(folder, { recursive: true }))

function fileWith(content: unknown): string {
  const file = join(folder, 'documents.json')
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content))
  return file
}
const read = (content: unknown) => readTrustedDocuments(fileWith(content))
const hash = (algorithm: string, text: string) => createHash(algorithm).update(text).digest('hex')

describe('a file of trusted documents', () => {
  it('gives each document under its key, whatever the key is: md5 of Relay, sha1 of codegen, a name', () => {
    const texts = [
      '{ channels }',
      'query A { channels }',
      'subscription B { channel(name: "b") { payload } }',
    ]
    const keys = [hash('md5', texts[0]!), hash('sha1', texts[1]!), 'b']
    const trusted = read(Object.fromEntries(keys.map((key, i) => [key, texts[i]])))
    expect(trusted.size).toBe(3)
    for (const [i, key] of keys.entries()) {
      expect(trusted.byId(key)).toMatchObject({ id: key, text: texts[i] })
      expect(trusted.byHash(key)?.text).toBe(texts[i])
      expect(print(trusted.byId(key)!.document)).toBe(print(trusted.byText(texts[i]!)!.document))
    }
    for (const unknown of ['', 'c', '__proto__', 'constructor', `sha256:${keys[0]}`])
      expect(trusted.byId(unknown)).toBeUndefined()
  })

  it('also finds a document by the SHA-256 of its text: with the prefix of GraphQL over HTTP, and as Apollo sends it', () => {
    const text = '{ channels } # é'
    const trusted = read({ 'any key': text })
    const sha256 = hash('sha256', text)
    expect(trusted.byId(`sha256:${sha256}`)?.text).toBe(text)
    expect(trusted.byHash(sha256)?.text).toBe(text)
    expect(trusted.byId(sha256)).toBeUndefined()
    expect(trusted.byHash(hash('sha256', '{ channels }'))).toBeUndefined()
  })

  it('knows a text in another layout, and no text with other tokens', () => {
    const text = 'query A($name: String!) {\n  a: channel(name: $name) {\n    payload\n  }\n}'
    const trusted = read({ a: text })
    for (const same of [text, text.replaceAll(/\s+/g, ' '), `# by a client\n${text.replaceAll('\n', ',\n')}`])
      expect(trusted.byText(same)?.text).toBe(text)
    for (const other of [text.replace('payload', 'json'), `${text} query B { channels }`, '{', '', '%'])
      expect(trusted.byText(other)).toBeUndefined()
    expect(trusted.byText(text.replace('\n', ' '.repeat(1000)))).toBeUndefined() // not worth the comparison
  })

  it('of GraphQL Code Generator is read as it is, and knows the texts of our client', async () => {
    const source = `import { graphql } from './gql'
      export const A = graphql(\`query A($n: Int = 2) { rows(limit: $n) { id ...F } } fragment F on Row { name }\`)`
    const app = join(folder, 'app.ts')
    writeFileSync(app, source)
    const config = codegenConfig({
      schema: 'type Query { rows(limit: Int): [Row!]! } type Row { id: Int! name: String }',
      documents: [app],
      out: join(folder, 'gql'),
    })
    const [out = ''] = Object.keys(config.generates)
    const generated = {
      ...config.generates[out],
      presetConfig: { fragmentMasking: false, persistedDocuments: true },
    }
    await generate(
      { ...config, generates: { [out]: generated }, silent: true } as Parameters<typeof generate>[0],
      true,
    )
    const file = join(out, 'persisted-documents.json')
    const content = Object.entries(JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>)
    expect(content).toHaveLength(1)
    const trusted = readTrustedDocuments(file)
    for (const [key, text] of content) {
      const { document } = trusted.byId(key)!
      expect(trusted.byId(key)!.text).toBe(text)
      expect(trusted.byText(printDocument(document))?.id).toBe(key)
      expect(trusted.byText(print(document))?.id).toBe(key)
    }
  })

  it.each<[string, unknown, RegExp]>([
    ['that is not JSON', '{ "a": ', /is not JSON: /],
    ['that is a list', ['{ channels }'], /is not a JSON object/],
    ['that is a text', '"{ channels }"', /is not a JSON object/],
    ['with an empty key', { '': '{ channels }' }, /has an empty key/],
    [
      'with a value that is no text',
      { good: '{ channels }', bad: { query: '{ channels }' } },
      /key "bad": the value is not a text/,
    ],
    [
      'with a syntax error',
      { good: '{ channels }', bad: '{ channels }\n  {' },
      /key "bad": Syntax Error: .* \(line 3, column 1 of the document\)|key "bad": Syntax Error: .* \(line 2, column \d+ of the document\)/,
    ],
    ['with a schema', { bad: 'type Query { a: Int }' }, /key "bad": it defines a schema/],
    ['with a fragment alone', { bad: 'fragment F on Query { channels }' }, /key "bad": it has no operation/],
    ['nested too deeply to be parsed', { bad: '{a'.repeat(100_000) }, /key "bad": /],
  ])('%s is refused in one line that names file and key', (_, content, message) => {
    const file = fileWith(content)
    const failure = (() => {
      try {
        readTrustedDocuments(file)
      } catch (error) {
        return error
      }
      return undefined
    })()
    expect(failure).toBeInstanceOf(ListenqlError)
    expect(failure).toMatchObject({ code: 'BAD_CONFIGURATION', message: expect.stringMatching(message) })
    expect((failure as Error).message).toContain(file)
    expect((failure as Error).message).not.toContain('\n')
  })

  it('that does not exist is refused', () => {
    expect(() => readTrustedDocuments(join(folder, 'none.json'))).toThrow(
      /none\.json, cannot be read: ENOENT/,
    )
  })
})
