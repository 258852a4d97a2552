import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { documentedFiles } from '../support/snippets.js'

const root = resolve(import.meta.dirname, '../..')

/** Words that leave open which part does something, or that stand for "after", with the words to use instead. */
const WORDS: readonly { readonly pattern: RegExp; readonly instead: string }[] = [
  {
    pattern: /\b(?:whoever|somebody|anybody|nobody|everybody)\b/i,
    instead: 'name the thing: the client, the subscriber, the follower, the login, another session',
  },
  {
    // A proxied server is behind its proxy, and readers lag behind.
    pattern: /(?<!\blag )\bbehind\b(?! an? (?:proxy|pooler|balancer|firewall)\b)/i,
    instead: 'after, unless it is behind a proxy, pooler, balancer or firewall',
  },
]

/** Names in code, and a name of Unix. */
const EXCEPTIONS: readonly { readonly file: string; readonly text: RegExp }[] = [
  { file: 'src/auth/channel-rules.ts', text: /\beverybody\b(?=[:.,])/g }, // the patterns of all viewers
  { file: 'src/auth/index.ts', text: /\beverybody\b(?=:)/g },
  { file: 'src/embedded/run-as.ts', text: /(['`])nobody\1/g }, // a user
  { file: 'docs/security.md', text: /`nobody`/g },
]

const sources = ['src', 'schema', 'page'].flatMap(folder =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(file => /\.(tsx?|css|html)$/.test(file))
    .map(file => `${folder}/${file.replaceAll('\\', '/')}`),
)

// CONTRIBUTING.md quotes these words.
const files = [...sources, ...documentedFiles(), 'ARCHITECTURE.md', 'CHANGELOG.md']

function read(file: string): string {
  return readFileSync(join(root, file), 'utf8')
}

/** Returns `file:line: text` for each line that contains one of the words. */
function found(file: string): string[] {
  const exceptions = EXCEPTIONS.filter(one => one.file === file)
  const text = exceptions.reduce((rest, one) => rest.replace(one.text, ''), read(file))
  return text.split('\n').flatMap((line, i) => {
    const word = WORDS.find(({ pattern }) => pattern.test(line))
    return word ? [`${file}:${i + 1}: ${line.trim()} (${word.instead})`] : []
  })
}

describe('comments, messages and documents', () => {
  it('name their subjects', () => {
    expect(sources.length).toBeGreaterThan(200)
    expect(files.flatMap(found)).toEqual([])
  })

  it.each(EXCEPTIONS)('still need the exception for $text in $file', ({ file, text }) => {
    expect(read(file)).toMatch(text)
  })
})
