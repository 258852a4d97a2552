import { readdirSync, readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { EXAMPLES } from '../support/example.js'

const root = resolve(import.meta.dirname, '../..')
const SHARED = 'From here on, this file is the same in all examples.'

const read = (...path: string[]) => readFileSync(join(root, ...path), 'utf8')

/** Names of the packages that the scripts of an example import. */
function importsOf(name: string): string[] {
  const scripts = readdirSync(join(root, 'examples', name)).filter(file => /\.[jt]sx?$/.test(file))
  const specifiers = scripts.flatMap(file =>
    [...read('examples', name, file).matchAll(/^import .*?'([^']+)'/gm)].map(match => match[1] as string),
  )
  const packages = specifiers
    .filter(specifier => !isBuiltin(specifier) && !specifier.startsWith('.'))
    .map(specifier => specifier.match(/^(@[^/]+\/)?[^/]+/)?.[0] as string)
  return [...new Set(packages)].sort()
}

it('there are examples, and imports of them', () => {
  expect(EXAMPLES).toContain('fleet')
  expect(importsOf('fleet')).toContain('listenql')
  expect(importsOf('fleet')).toContain('react-dom')
})

describe.each(EXAMPLES)('examples/%s', name => {
  it('starts as the others do', () => {
    const shared = (example: string) => read('examples', example, 'start.js').split(SHARED)[1]
    expect(shared('fleet')).toContain('createServer')
    expect(shared(name)).toBe(shared('fleet'))
  })

  it('names the packages that it imports, in versions that this repository tests', () => {
    const manifest = JSON.parse(read('examples', name, 'package.json'))
    const { dependencies, devDependencies } = JSON.parse(read('package.json'))
    const tested: Record<string, string> = { ...devDependencies, ...dependencies, listenql: 'file:../..' }
    for (const imported of importsOf(name)) expect(manifest.dependencies).toHaveProperty([imported])
    for (const [dependency, range] of Object.entries<string>(manifest.dependencies)) {
      const minor = (version: string | undefined) => version?.match(/\d+\.\d+/)?.[0]
      expect([dependency, minor(range)]).toEqual([dependency, minor(tested[dependency])])
    }
    expect(manifest.scripts).toEqual({ start: 'node start.js' })
    expect(read('examples', name, '.npmrc')).toBe(read('examples/fleet/.npmrc'))
  })

  it('has a README with the two commands', () => {
    expect(read('examples', name, 'README.md')).toContain('```sh\nnpm install\nnpm start\n```')
  })
})
