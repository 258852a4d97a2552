import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'
import { COMMANDS } from '../../src/commands/table.js'
import { COMMON_FLAGS, OPTION_LIST } from '../../src/config/index.js'

const FOLDER = resolve(import.meta.dirname, '../../deploy')

/** Flags of other programs in these files. */
const OTHERS: Readonly<Record<string, string>> = {
  '--build': 'docker compose up',
  '--format': 'buildah',
  '--from': 'COPY',
  '--ignore-scripts': 'npm',
  '--interval': 'HEALTHCHECK',
  '--from-file': 'kubectl',
  '--max-old-space-size': 'node',
  '--omit': 'npm',
  '--start-period': 'HEALTHCHECK',
  '--timeout': 'HEALTHCHECK',
}

const files = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' }).filter(file =>
  statSync(join(FOLDER, file)).isFile(),
)
const textOf = (file: string) => readFileSync(join(FOLDER, file), 'utf8')
const all = files.map(textOf).join('\n')
/** What a pattern finds in the files, each as `file: text`, unless it is known. */
const unknown = (pattern: RegExp, known: ReadonlySet<string>) =>
  files.flatMap(file =>
    [...textOf(file).matchAll(pattern)]
      .map(([whole, group]) => group ?? whole)
      .filter(text => !known.has(text))
      .map(text => `${file}: ${text}`),
  )

const flags = new Set([
  ...OPTION_LIST.map(({ flag }) => `--${flag}`),
  ...COMMON_FLAGS.map(({ flag }) => `--${flag}`),
  ...COMMANDS.flatMap(command => command.flags.map(({ flag }) => `--${flag}`)),
])

it('the files of deploy/ name no flag that does not exist', () => {
  expect(all).toContain('--shutdown-timeout')
  expect(unknown(/(?<![\w-])--[a-z][a-z-]*[a-z]/g, new Set([...flags, ...Object.keys(OTHERS)]))).toEqual([])
})

it('the files of deploy/ still have each flag of another program', () => {
  expect(Object.keys(OTHERS).filter(flag => !all.includes(flag))).toEqual([])
})

it('the files of deploy/ name no variable that does not exist', () => {
  const variables = new Set(OPTION_LIST.flatMap(option => option.variables))
  expect(all).toContain('LISTENQL_HOST')
  expect(unknown(/\bLISTENQL_[A-Z_]+\b/g, variables)).toEqual([])
})

it('the configuration files in deploy/ have no key that does not exist', () => {
  const keys = new Set(OPTION_LIST.map(({ toml }) => toml))
  expect(all).toContain('DbConnection = "')
  expect(unknown(/^\s*([A-Z][A-Za-z]+) = "/gm, keys)).toEqual([])
})
