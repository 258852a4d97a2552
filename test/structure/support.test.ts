import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'

const support = resolve(import.meta.dirname, '../support')

it('the index of helpers names each file once, and nothing else', () => {
  const files = readdirSync(support, { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .sort()
  const readme = readFileSync(join(support, 'README.md'), 'utf8')
  const named = [...readme.matchAll(/\[([^\]]+)\]\(([^)]+)\)/g)].map(([, name, path]) => {
    expect(name).toBe(path)
    return path as string
  })
  expect(named.sort()).toEqual(files)
})
