import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { COMMANDS } from '../../src/commands/table.js'
import { COMMON_FLAGS, OPTION_LIST } from '../../src/config/index.js'
import { CONTRIBUTOR_FILES, documentedFiles, readText, snippetsOf } from '../support/snippets.js'

const FILES = [...new Set([...documentedFiles(), ...CONTRIBUTOR_FILES])]

/** Flags of other programs in the docs, with the name of the program. */
const FLAGS_OF_OTHERS: Readonly<Record<string, string>> = {
  '--cap-drop': 'docker',
  '--data-only': 'pg_dump',
  '--data-urlencode': 'curl',
  '--empty': 'changeset',
  '--exclude-schema': 'pg_dump',
  '--exclude-table-data': 'pg_dump',
  '--follow-tags': 'git',
  '--import': 'node',
  '--max-old-space-size': 'node',
  '--from-file': 'kubectl',
  '--ignore-engines': 'yarn',
  '--now': 'systemctl',
  '--omit': 'npm',
  '--package-lock-only': 'npm',
  '--prefix': 'npm',
  '--read-only': 'docker',
  '--save-dev': 'npm',
  '--schema-only': 'pg_dump',
  '--set': 'helm',
  '--stop-timeout': 'docker',
  '--write': 'prettier',
}

const flags = new Set([
  ...OPTION_LIST.flatMap(({ flag }) => [`--${flag}`, `--no-${flag}`]),
  ...COMMON_FLAGS.map(({ flag }) => `--${flag}`),
  ...COMMANDS.flatMap(command => command.flags.map(({ flag }) => `--${flag}`)),
  ...Object.keys(FLAGS_OF_OTHERS),
])

/** The anchor that GitHub gives to a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-')
}

function anchorsOf(file: string): Set<string> {
  const fenced = new Set(
    snippetsOf(file).flatMap(({ line, text }) => text.split('\n').map((_, i) => line + i)),
  )
  const headings = readText(file)
    .split('\n')
    .filter((line, i) => /^#+ /.test(line) && !fenced.has(i + 1))
  return new Set(headings.map(line => anchorOf(line.replace(/^#+ /, ''))))
}

describe.each(FILES)('%s', file => {
  const text = readText(file)

  it('names no flag that does not exist (flags of other programs: FLAGS_OF_OTHERS)', () => {
    const named = [...text.matchAll(/(?<![\w-])--[a-z][a-z-]*[a-z]/g)].map(([flag]) => flag)
    expect([...new Set(named)].filter(flag => !flags.has(flag))).toEqual([])
  })

  it('names no command that does not exist', () => {
    const names = new Set(['', ...COMMANDS.map(({ name }) => name)])
    const named = [...text.matchAll(/npx listenql(?: ([a-z]+)\b)?/g)].map(([, name = '']) => name)
    expect(named.filter(name => !names.has(name))).toEqual([])
  })

  it('has no broken links', () => {
    const broken = [...text.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, to = '']) => to)
      .filter(to => !/^[a-z]+:/.test(to))
      .filter(to => {
        const [path = '', anchor] = to.split('#')
        const target = path === '' ? file : join(dirname(file), path)
        if (!existsSync(resolve(target))) return true
        return anchor !== undefined && target.endsWith('.md') && !anchorsOf(target).has(anchor)
      })
    expect(broken).toEqual([])
  })
})

it('the docs still name every flag in FLAGS_OF_OTHERS', () => {
  const all = FILES.map(readText).join('\n')
  expect(Object.keys(FLAGS_OF_OTHERS).filter(flag => !all.includes(flag))).toEqual([])
})
