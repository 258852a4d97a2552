import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '../..')

/**
 * These folders hold tests of several modules together. Every other folder of test/ mirrors src/ (or, where src/ has no such
 * folder, the root): `src/delivery/group.ts` has its test in `test/delivery/group.test.ts`, and a second one in
 * `group-<subject>.test.ts`.
 */
const TOGETHER = [
  'day',
  'deploy',
  'docs',
  'e2e',
  'examples',
  'property',
  'security',
  'sql',
  'stress',
  'structure',
  'support',
]

/** Every longer file of these folders has a test at its path, because an event passes here on its way to a socket. */
const MAIN_FOLDERS = ['src/delivery', 'src/log', 'src/sources']
const LONG_LINES = 60
/** The same for these files of other folders. */
const MAIN_FILES = [
  'src/graphql/await-tables.ts',
  'src/graphql/engine.ts',
  'src/graphql/group-key.ts',
  'src/rls/batches/batch-message.ts',
  'src/rls/batches/batch-plan.ts',
  'src/rls/batches/batch-scheduler.ts',
  'src/rls/known-rights.ts',
  'src/rls/policy-images.ts',
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
  'src/transport/ws/socket-subscriptions.ts',
]

/** Files of the main path that the test of another file covers, because they are its parts or consist of SQL. */
const TESTED_ELSEWHERE: Readonly<Record<string, readonly string[]>> = {
  // Parts of the visibility queue that have no use on their own.
  'test/sources/tables/visibility-queue.test.ts': [
    'src/sources/tables/slow-viewer.ts',
    'src/sources/tables/slow-viewers.ts',
    'src/sources/tables/deliver-page.ts',
    'src/sources/tables/queued-subscriptions.ts',
    'src/sources/tables/stage-view.ts',
    'src/sources/tables/waiting-event.ts',
  ],
  'test/sources/tables/table-feeds.test.ts': ['src/sources/tables/table-feed.ts'],
  // The feeds, the queue and the replay of a table together, in every interleaving.
  'test/property/once.test.ts': ['src/sources/tables/open-changes.ts', 'src/sources/tables/page-changes.ts'],
  'test/log/log-follower.test.ts': ['src/log/live-pages.ts'],
  // These call the SQL functions of the log, and the tests of the functions cover their results.
  'test/sql/ledger.test.ts': ['src/log/log-event.ts'],
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

/** Returns the paths that the source of a test may have: without `-<subject>`, which may be several words, or with it. */
function sourcesOf(test: string): string[] {
  const path = test.replace(/^test\//, '').replace(/\.test\.ts$/, '')
  const [top = ''] = path.split('/')
  const base = existsSync(join(root, 'src', top)) ? join('src', path) : path
  const words = base.slice(dirname(base).length + 1).split('-')
  return words.map((_, i) => join(dirname(base), words.slice(0, words.length - i).join('-')))
}

/** Returns the file or folder that a test covers. */
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

it('every file of the main path has a test at its path', () => {
  const isLong = (file: string) => readFileSync(join(root, file), 'utf8').split('\n').length > LONG_LINES
  const main = [...MAIN_FOLDERS.flatMap(folder => filesBelow(folder, '.ts').filter(isLong)), ...MAIN_FILES]
  const elsewhere = Object.values(TESTED_ELSEWHERE).flat()
  expect(main.filter(file => !tested.has(file) && !elsewhere.includes(file))).toEqual([])
  expect(elsewhere.filter(file => tested.has(file))).toEqual([])
  const named = [...MAIN_FILES, ...elsewhere, ...Object.keys(TESTED_ELSEWHERE)]
  expect(named.filter(file => !existsSync(join(root, file)))).toEqual([])
})

it('the source of a test is found by its path', () => {
  expect(sourceOf('test/delivery/group.test.ts')).toBe('src/delivery/group.ts')
  expect(sourceOf('test/log/log-follower-topics.test.ts')).toBe('src/log/log-follower.ts')
  expect(sourceOf('test/schema/names/names.test.ts')).toBe('schema/names/names.ts')
  expect(sourceOf('test/log/nothing.test.ts')).toBe(undefined)
})
