import { existsSync, readdirSync, statSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { CONTRIBUTOR_FILES, readText } from '../support/snippets.js'

/*
 * Every file, folder, function and command that the documents for contributors name exists. A name is what stands between
 * backticks: `log/position.ts:latest` is a declaration in a file, relative to the root or to src; `imports.test.ts` is a file
 * anywhere; `listenql.pull` is made by a migration; any other name has to occur in the sources.
 */

const ROOT = resolve(import.meta.dirname, '../..')
const SOURCES = ['src', 'schema', 'sql', 'test', 'bench']
/** Made by commands, so that a fresh checkout lacks them. */
const GENERATED = ['dist/', '.listenql/', 'node_modules']

const files = SOURCES.flatMap(folder =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map(file => join(folder, file)),
)
const basenames = new Set(files.map(file => basename(file)))
const textsIn = (folder: string) =>
  files.filter(file => file.startsWith(folder) && /\.(ts|sql)$/.test(file)).map(readText)
const texts = textsIn('')
const words = new Set(texts.flatMap(text => text.match(/\w+/g) ?? []))
const migrations = textsIn('sql/migrations')
const manifest = JSON.parse(readText('package.json')) as { scripts: Record<string, string> }
const architecture = readText('ARCHITECTURE.md')

function spansOf(text: string): string[] {
  const prose = text.replace(/^```[\s\S]*?^```$/gm, '')
  return [...new Set([...prose.matchAll(/`([^`\n]+)`/g)].map(([, span = '']) => span))]
}

function find(path: string): string | undefined {
  return [path, join('src', path)].find(candidate => existsSync(join(ROOT, candidate)))
}

function declares(text: string, name: string): boolean {
  const word = name.replace('#', '\\#')
  const keyword = new RegExp(`\\b(function\\*?|class|const|let|interface|type|enum) ${word}\\b`)
  const member = new RegExp(`^\\s+(async |get |static |readonly )*\\*?${word}(\\??:|[(<,]| =)`, 'm')
  return keyword.test(text) || member.test(text)
}

/** Why a name is wrong; undefined: it is right, or names nothing of ours. */
function faultOf(span: string): string | undefined {
  if (GENERATED.includes(span) || span.includes('NNNN')) return undefined
  const [, path = '', name] = /^([\w./-]+?)(?::(#?\w+))?$/.exec(span) ?? []
  if (/\.(ts|sql|json|md)$/.test(path)) {
    const isByName = !path.includes('/')
    const found = isByName && basenames.has(basename(path)) ? path : find(path)
    if (found === undefined) return 'no such file'
    if (name !== undefined && !declares(readText(found), name)) return `no ${name} in it`
    return undefined
  }
  if (/^\.?[a-z][\w-]*(\/[\w.-]+)*\/?$/.test(span) && span.includes('/')) {
    return find(span) === undefined ? 'no such file or folder' : undefined
  }
  const [, ofSchema] = /^listenql\.(\w+)$/.exec(span) ?? []
  if (ofSchema !== undefined) {
    const creates = new RegExp(`^create .*\\blistenql\\.${ofSchema}\\b`, 'm')
    return migrations.some(sql => creates.test(sql)) ? undefined : 'no migration makes it'
  }
  const [, script] = /^npm (?:run )?([a-z:]+)\b/.exec(span) ?? []
  if (script !== undefined) {
    const isOfNpm = ['ci', 'install'].includes(script)
    return isOfNpm || script in manifest.scripts ? undefined : 'no such script'
  }
  const isCode = /^#?\w+$/.test(span) && /[a-z][A-Z]|[A-Za-z]_[A-Za-z]/.test(span)
  return isCode && !words.has(span.replace('#', '')) ? 'nothing of that name' : undefined
}

describe.each(CONTRIBUTOR_FILES)('%s', file => {
  it('names nothing that does not exist', () => {
    const faults = spansOf(readText(file)).flatMap(span => {
      const fault = faultOf(span)
      return fault === undefined ? [] : [`${span}: ${fault}`]
    })
    expect(faults).toEqual([])
  })
})

it('notices names that do not exist', () => {
  for (const right of [
    'log/position.ts:latest',
    'src/log/log-event.ts',
    'delivery/fan-out.ts:#render',
    'imports.test.ts',
    'transport/http',
    'listenql.cut_batch',
    'npm run docs',
    'JSON',
  ])
    expect([right, faultOf(right)]).toEqual([right, undefined])
  for (const wrong of [
    'log/position.ts:latests',
    'log/positions.ts',
    'delivery/fan-out.ts:#paint',
    'imported.test.ts',
    'transport/smtp',
    'listenql.cut_cake',
    'npm run doc',
    `noSuch${'Name'}`, // in two pieces, or this file would be where it occurs
  ])
    expect([wrong, faultOf(wrong)]).not.toEqual([wrong, undefined])
})

describe('ARCHITECTURE.md', () => {
  it('has at most 250 lines', () => {
    expect(architecture.trimEnd().split('\n').length).toBeLessThanOrEqual(250)
  })

  it('has a paragraph for each folder of src', () => {
    const folders = readdirSync(join(ROOT, 'src')).filter(name =>
      statSync(join(ROOT, 'src', name)).isDirectory(),
    )
    const headed = [...architecture.matchAll(/^\*\*(.+?)\*\*/gm)].map(([, head = '']) => head).join(' ')
    expect(folders.filter(folder => !headed.includes(`\`src/${folder}\``))).toEqual([])
  })

  it('lists the connections to the database', () => {
    const opened = textsIn('src').flatMap(text =>
      [...text.matchAll(/application_name: '(listenql[^']*)'/g)].map(([, name = '']) => name),
    )
    expect(opened.length).toBeGreaterThan(10)
    expect(opened.filter(name => !architecture.includes(`\`${name}\``))).toEqual([])
    const listed = [...architecture.matchAll(/^\| `(listenql[ \w-]*)` \|/gm)].map(([, name = '']) => name)
    expect(listed.filter(name => !opened.includes(name))).toEqual([])
  })
})

it('CONTRIBUTING.md shows the folders of tests that there are', () => {
  const [, tree = ''] = /^test\/\n([\s\S]*?)^```$/m.exec(readText('CONTRIBUTING.md')) ?? []
  const shown = [...tree.matchAll(/^ {2}([\w/]+)\/ /gm)].map(([, folder = '']) => folder)
  const mirrored = readdirSync(join(ROOT, 'src'))
  const there = readdirSync(join(ROOT, 'test'))
    .filter(name => statSync(join(ROOT, 'test', name)).isDirectory() && !mirrored.includes(name))
    .flatMap(name => [
      name,
      ...(name === 'e2e' ? readdirSync(join(ROOT, 'test/e2e')).filter(sub => !sub.includes('.')) : []).map(
        sub => `e2e/${sub}`,
      ),
    ])
  expect(shown.sort()).toEqual(there.sort())
})

it('changesets wait for the first release, which has its section already', () => {
  const isUnreleased = /^## 0\.1\.0, unreleased$/m.test(readText('CHANGELOG.md'))
  const changesets = readdirSync(join(ROOT, '.changeset')).filter(name => name.endsWith('.md'))
  if (isUnreleased) expect(changesets).toEqual([])
})
