import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  configurationMarkdown,
  databaseOf,
  OPTION_LIST,
  printExample,
  printSettings,
  resolveSettings,
  type Settings,
} from '../../src/config/index.js'
import { hideSecrets } from '../../src/postgres/conninfo.js'
import { load } from '../support/settings.js'

describe('the table of options', () => {
  it('gives no name twice', () => {
    for (const names of [
      OPTION_LIST.map(option => option.flag),
      OPTION_LIST.flatMap(option => option.variables),
      OPTION_LIST.map(option => option.toml.toLowerCase()),
      OPTION_LIST.flatMap(option => option.short ?? []),
    ]) {
      expect(new Set(names).size).toBe(names.length)
    }
  })

  it('has defaults that pass their own checks, and one line of help per option', () => {
    for (const { default: value, example, type, help } of OPTION_LIST) {
      const shown = value ?? example
      expect(type.fromToml(type.kind === 'scalar' ? type.format(shown!).replaceAll('"', '') : shown)).toEqual(
        shown,
      )
      expect(help).toMatch(/^[^\n]+[^.\n]$/)
    }
  })
})

describe('settings from code', () => {
  it('get the defaults', () => {
    const settings = resolveSettings({ port: 0, stallTimeout: 50, channels: ['a'], databaseUrl: undefined })
    expect(settings).toMatchObject({ port: 0, stallTimeout: 50, channels: ['a'], host: 'localhost' })
    expect(Object.keys(settings).sort()).toEqual(OPTION_LIST.map(option => option.key).sort())
  })

  it('stay unchanged if they are resolved already', () => {
    const { settings } = load({ argv: ['-d', '--base-path', 'x/', '--max-event=1MB'] })
    expect(resolveSettings(settings)).toEqual(settings)
  })

  it.each<[Record<string, unknown>, string]>([
    [{ prot: 1 }, 'there is no option prot; did you mean port?'],
    [{ port: '80' }, "the option port is '80' but must be a port"],
    [
      { stallTimeout: '10s' },
      "the option stallTimeout is '10s' but must be whole milliseconds from 1 to 2147483647",
    ],
    [{ maxEvent: 0 }, 'the option maxEvent is 0 but must be a number of bytes from 1 on'],
    [{ channels: 'people' }, 'the option channels must be a list of texts'],
    [{ graphiql: 1 }, 'the option graphiql is 1 but must be true or false'],
    [{ logLevel: 'loud' }, "the option logLevel is 'loud' but must be one of trace"],
    [{ databaseUrl: ['hunter2'] }, 'the option databaseUrl must be a text'],
    [{ tlsKey: 'x' }, 'the option tlsKey is given, but the option tlsCert is not'],
  ])('are refused for %j', (given, message) => {
    expect(() => resolveSettings(given as Partial<Settings>)).toThrow(
      expect.objectContaining({ code: 'BAD_CONFIGURATION', message: expect.stringContaining(message) }),
    )
  })
})

describe('the database', () => {
  const none = { databaseUrl: undefined, dataDir: undefined }

  it('is the one of the URL, of the directory or of PG*, else an embedded one', () => {
    const env = { PGUSER: 'me' }
    expect(databaseOf({ databaseUrl: 'x', dataDir: 'y' }, env)).toEqual({ kind: 'url', url: 'x' })
    expect(databaseOf({ ...none, dataDir: 'y' }, env)).toEqual({ kind: 'embedded', directory: 'y' })
    expect(databaseOf(none, env)).toEqual({ kind: 'environment' })
    expect(databaseOf(none, { PGPASSWORD: 'x', PGSSLMODE: 'require', PGHOST: '' })).toEqual({
      kind: 'embedded',
      directory: undefined,
    })
  })

  it('is refused for a service, because service files are not read', () => {
    expect(() => databaseOf(none, { PGSERVICE: 'x' })).toThrow(
      'PGSERVICE is set, but service files are not read',
    )
    expect(databaseOf({ ...none, databaseUrl: 'x' }, { PGSERVICE: 'x' }).kind).toBe('url')
  })
})

describe('the printed configuration', () => {
  it('is a file that results in the same settings', () => {
    const places = {
      argv: ['--channels', 'a"b,c\\\\d,ü', '--keep-alive=1500ms', '--max-event=1000001', '--no-graphiql'],
      env: { DATABASE_URL: 'host=localhost dbname=x', PORT: '0', LISTENQL_URL_BASE: 'https://example.com' },
      files: { 'listenql.toml': 'Publish = ["*"]\nLogLevel = "warn"' },
    }
    const loaded = load(places)
    const text = printSettings(loaded, ['a head'], hideSecrets)
    expect(load({ files: { 'listenql.toml': text } }).settings).toEqual(loaded.settings)
    expect(text).toContain('HttpPort = 0  # environment variable PORT\n')
    expect(text).toContain('Publish = ["*"]  # listenql.toml:1: Publish\n')
    expect(text).toContain('HttpHost = "localhost"  # default\n')
    expect(text).toContain('Graphiql = false  # --no-graphiql\n')
  })

  it('hides passwords', () => {
    for (const url of [
      'postgres://u:hunter2@h/d',
      "host=h password='hunter2'",
      'postgres://h/d?password=hunter2',
    ]) {
      const text = printSettings(load({ env: { DATABASE_URL: url } }), [], hideSecrets)
      expect(text).toContain('***')
      expect(text).not.toContain('hunter2')
    }
  })

  it('shows every option in the example, which is valid as it is and with every # removed', () => {
    const example = printExample()
    expect(load({ files: { 'listenql.toml': example } }).settings).toEqual(resolveSettings({}))
    const used = example.replace(/^# (\w+ = )/gm, '$1')
    const { sources } = load({ files: { 'listenql.toml': used } })
    expect(Object.entries(sources).filter(([, source]) => source === 'default')).toEqual([
      ['dataDir', 'default'],
    ])
  })

  it('is documented in docs/configuration.md (if this fails: npm run docs)', () => {
    const page = readFileSync(join(import.meta.dirname, '../../docs/configuration.md'), 'utf8')
    expect(page).toBe(configurationMarkdown())
  })
})
