import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '../..')

/**
 * Tests of what several modules do together. Every other folder of test/ mirrors src/ (or, where src/ has no such folder, the
 * root): `src/delivery/group.ts` has its test in `test/delivery/group.test.ts`, a second one in `group-<subject>.test.ts`.
 */
const TOGETHER = ['docs', 'e2e', 'property', 'security', 'sql', 'stress', 'structure', 'support']

/** Every longer file of these folders has a test that is found by its path: an event passes here on its way to a socket. */
const MAIN_FOLDERS = ['src/delivery', 'src/log', 'src/sources']
const LONG_LINES = 60
/** The same for these files of other folders. */
const MAIN_FILES = [
  'src/graphql/engine.ts',
  'src/rls/row-access.ts',
  'src/rls/table-access.ts',
  'src/rls/visibility.ts',
  'src/snapshots/snapshots.ts',
  'src/transport/http/graphql-http.ts',
  'src/transport/http/response-sink.ts',
  'src/transport/http/sse.ts',
  'src/transport/http/stream-response.ts',
  'src/transport/ws/frame.ts',
  'src/transport/ws/graphql-ws.ts',
  'src/transport/ws/sink.ts',
]

/** Files of the main path that are tested by the test of another one: as its parts, or because they are SQL. */
const TESTED_ELSEWHERE: Readonly<Record<string, readonly string[]>> = {
  // Parts of the visibility queue, which are nothing without it.
  'test/sources/tables/visibility-queue.test.ts': [
    'src/sources/tables/slow-viewer.ts',
    'src/sources/tables/deliver-page.ts',
    'src/sources/tables/queued-subscriptions.ts',
    'src/sources/tables/stage-view.ts',
    'src/sources/tables/waiting-event.ts',
  ],
  'test/sources/tables/table-feeds.test.ts': ['src/sources/tables/table-feed.ts'],
  // Whatever overtakes what: the feeds, the queue and the replay of a table together.
  'test/property/once.test.ts': [
    'src/sources/tables/open-changes.ts',
    'src/sources/tables/page-changes.ts',
    'src/sources/tables/table-replay.ts',
  ],
  'test/log/log-follower.test.ts': ['src/log/log-connection.ts'],
  // Calls of the log's SQL functions, and what they return: tested with the functions.
  'test/sql/ledger.test.ts': ['src/log/log-event.ts', 'src/log/log-queries.ts'],
  'test/sql/rights.test.ts': ['src/log/install.ts', 'src/log/schema-parts.ts'],
  'test/log/retention.test.ts': ['src/log/rotate.ts'],
  'test/e2e/cli/status.test.ts': ['src/log/log-status.ts'],
}

function filesBelow(folder: string, ending: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith(ending))
    .map(file => join(folder, file))
}

const tests = filesBelow('test', '.test.ts')

/** Where the source of a test would be: without `-<subject>`, which may be several words, or with it. */
function sourcesOf(test: string): string[] {
  const path = test.replace(/^test\//, '').replace(/\.test\.ts$/, '')
  const [top = ''] = path.split('/')
  const base = existsSync(join(root, 'src', top)) ? join('src', path) : path
  const words = base.slice(dirname(base).length + 1).split('-')
  return words.map((_, i) => join(dirname(base), words.slice(0, words.length - i).join('-')))
}

/** The file or folder that a test is the test of. */
function sourceOf(test: string): string | undefined {
  for (const path of sourcesOf(test))
    for (const file of [`${path}.ts`, `${path}.js`, path]) if (existsSync(join(root, file))) return file
  return undefined
}

const isMirror = (test: string) => !TOGETHER.includes(test.split('/')[1] as string)
const tested = new Set(tests.filter(isMirror).map(sourceOf))

it('every test of one module has the path of the module', () => {
  expect(tests.length).toBeGreaterThan(200)
  expect(tests.filter(isMirror).filter(test => sourceOf(test) === undefined)).toEqual([])
})

it('every file of the main path has a test that is found by its path', () => {
  const isLong = (file: string) => readFileSync(join(root, file), 'utf8').split('\n').length > LONG_LINES
  const main = [...MAIN_FOLDERS.flatMap(folder => filesBelow(folder, '.ts').filter(isLong)), ...MAIN_FILES]
  const elsewhere = Object.values(TESTED_ELSEWHERE).flat()
  expect(main.filter(file => !tested.has(file) && !elsewhere.includes(file))).toEqual([])
  expect(elsewhere.filter(file => tested.has(file))).toEqual([])
  const named = [...MAIN_FILES, ...elsewhere, ...Object.keys(TESTED_ELSEWHERE)]
  expect(named.filter(file => !existsSync(join(root, file)))).toEqual([])
})

it('finds the source of a test by its path', () => {
  expect(sourceOf('test/delivery/group.test.ts')).toBe('src/delivery/group.ts')
  expect(sourceOf('test/log/log-follower-topics.test.ts')).toBe('src/log/log-follower.ts')
  expect(sourceOf('test/schema/names/names.test.ts')).toBe('schema/names/names.ts')
  expect(sourceOf('test/log/nothing.test.ts')).toBe(undefined)
})
