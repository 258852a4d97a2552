import { mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { SCALAR_NAMES } from '../../../schema/scalars.js'
import { type CliOutcome, runCli } from '../../support/cli.js'
import { query } from '../../support/graphql-request.js'
import { createLive, type Live } from '../../support/live.js'
import { createLog, type TestLog } from '../../support/log.js'
import { createCommands } from '../../support/running.js'

/** A column of each type: its type in SQL, a value, and its type in TypeScript. */
const COLUMNS: Readonly<Record<string, readonly [sql: string, value: string, type: string]>> = {
  small: ['int2', '1', 'number'],
  big: ['int8', '9007199254740993', 'string'],
  exact: ['numeric', '1.50', 'string'],
  approximate: ['float8', '1.5', 'number | null'],
  flag: ['bool', 'true', 'boolean'],
  words: ['text', 'words', 'string'],
  uuid: ['uuid', 'f47ac10b-58cc-4372-a567-0e02b2c3d479', 'string'],
  moment: ['timestamptz', '2026-11-22T22:41:00Z', 'string'],
  localMoment: ['timestamp', '2026-11-22T22:41:00', 'string'],
  day: ['date', '2026-11-22', 'string'],
  clock: ['time', '22:41:00', 'string'],
  zonedClock: ['timetz', '22:41:00+01', 'string'],
  span: ['interval', '1 day 2 hours', 'string'],
  document: ['jsonb', '{"a": 1}', 'unknown'],
  bytes: ['bytea', '\\x00ff', 'string'],
  mood: ['mood', 'happy', "'happy' | 'sad'"],
  list: ['int[]', '{1,null}', 'Array<number | null>'],
  address: ['inet', '::1', 'string'],
}
const NAMES = Object.keys(COLUMNS)

let log: TestLog
let live: Live
let folder: string
const commands = createCommands()

beforeAll(async () => {
  log = await createLog()
  const columns = NAMES.map(name => `"${name}" ${COLUMNS[name]?.[0]} not null`)
  await log.query(`create type mood as enum ('happy', 'sad');
    create table things (id int primary key, maybe text, ${columns.join(', ')})`)
  await log.query(
    `insert into things (id, ${NAMES.map(name => `"${name}"`)}) values (1, ${NAMES.map((_, i) => `$${i + 1}`)})`,
    NAMES.map(name => COLUMNS[name]?.[1]),
  )
  await log.watch('things')
  live = await createLive(log)
  await live.ready('{ things { cursor } }')
})
afterAll(async () => {
  await live?.close()
  await log.close()
})

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'listenql-codegen-')))
  await symlink(resolve('node_modules'), join(folder, 'node_modules'))
  await write('package.json', '{ "type": "module" }')
})
afterEach(async () => {
  await commands.endAll()
  await rm(folder, { recursive: true, force: true })
})

async function write(path: string, text: string): Promise<void> {
  await mkdir(join(folder, path, '..'), { recursive: true })
  await writeFile(join(folder, path), text)
}

const codegen = (...argv: string[]): Promise<CliOutcome> => runCli(['codegen', ...argv], { cwd: folder })
const endpoint = () => `${live.server.url}/graphql`

const ALL = `query All($where: ThingsFilter) { things(where: $where) { rows { id maybe ${NAMES.join(' ')} } } thingsAggregate { count } }`
const CHANGES = 'subscription Changes { thingsChanged { operation key { id } row { id maybe } } }'
const APP = (extension: string) => `import { graphql, type DocumentType } from './gql/index${extension}'
export const ALL = graphql(\`${ALL}\`)
export const CHANGES = graphql(\`${CHANGES}\`)
export type Row = DocumentType<typeof ALL>['things']['rows'][number]
export type Change = DocumentType<typeof CHANGES>['thingsChanged']
`

/** An app with helpers of listenql, which fails to compile if a type is another one, or a typo compiles. */
const CHECKS = (
  extension: string,
) => `import type { ResultOf, VariablesOf } from '@graphql-typed-document-node/core'
import { applyChange } from 'listenql/client'
import { ALL, type Change, type Row } from './app${extension}'
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
${NAMES.map(name => `true satisfies Equal<Row['${name}'], ${COLUMNS[name]?.[2]}>`).join('\n')}
true satisfies Equal<Row['maybe'], string | null>
true satisfies Equal<ResultOf<typeof ALL>['thingsAggregate']['count'], string>
export const list = new Map<number, NonNullable<Change['row']>>()
export function take(change: Change): void { applyChange(list, change, key => key.id) }
export const filters: VariablesOf<typeof ALL>['where'][] = [
  { big: { gt: '9007199254740993' } }, { big: { gt: 5 } }, { mood: { in: ['sad'] } }, { day: { eq: '2026-11-22' } },
  // @ts-expect-error: an integer is no boolean
  { big: { gt: true } },
  // @ts-expect-error: there is no such label
  { mood: { in: ['angry'] } },
  // @ts-expect-error: there is no such column
  { bigg: { gt: 5 } },
]
// @ts-expect-error: a typo
export const typo = (row: Row) => row.smal
// @ts-expect-error: it may be null
export const size = (row: Row) => row.maybe.length
// @ts-expect-error: the key of another type
export const wrongKey = (change: Change) => applyChange(list, change, key => key.pk)
`

async function compile(module: 'bundler' | 'nodenext'): Promise<string> {
  const how =
    module === 'nodenext' ? { module: 'nodenext' } : { module: 'esnext', moduleResolution: 'bundler' }
  const compilerOptions = {
    ...how,
    target: 'es2023',
    lib: ['es2023', 'dom'],
    types: [],
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    verbatimModuleSyntax: true,
    exactOptionalPropertyTypes: true,
    paths: { 'listenql/client': [resolve('dist/src/client/index.d.ts')] },
  }
  await write('tsconfig.json', JSON.stringify({ compilerOptions, include: ['src'] }))
  const tsc = commands.spawn(process.execPath, [resolve('node_modules/typescript/bin/tsc'), '-p', folder])
  await tsc.end
  return tsc.out() + tsc.err()
}

async function generated(): Promise<Record<string, string>> {
  const names = await readdir(join(folder, 'src/gql'))
  const texts = names.sort().map(async name => [name, await readFile(join(folder, 'src/gql', name), 'utf8')])
  return Object.fromEntries(await Promise.all(texts)) as Record<string, string>
}

describe('listenql codegen', () => {
  it('types every scalar as it arrives', async () => {
    const { things } = await query(live.server.url, ALL)
    const [row] = (things as { rows: Record<string, unknown>[] }).rows
    for (const name of NAMES) {
      const [, , type = ''] = COLUMNS[name] ?? []
      const plain = type.startsWith("'") ? 'string' : type.startsWith('Array') ? 'object' : type.split(' ')[0]
      if (type !== 'unknown') expect([name, typeof row?.[name]]).toEqual([name, plain])
    }
    const { schema } = await import('graphql').then(async ({ buildSchema }) => {
      await write('src/app.ts', APP(''))
      expect(await codegen('--schema', endpoint())).toMatchObject({ code: 0, stderr: '' })
      return { schema: buildSchema((await generated())['schema.graphql'] as string) }
    })
    const missing = SCALAR_NAMES.filter(name => !schema.getType(name))
    expect(missing, 'a scalar that no column of this test has').toEqual([])
  })

  it.each([
    ['bundler', ''],
    ['nodenext', '.js'],
  ] as const)(
    'generates what an app compiles with, and in which typos do not compile (%s)',
    async (module, extension) => {
      await write('src/app.ts', APP(extension))
      const flags = extension === '' ? [] : ['--import-extension', extension]
      const { code, stdout, stderr } = await codegen('--schema', endpoint(), ...flags)
      expect([code, stderr]).toEqual([0, ''])
      expect(stdout).toBe(
        `Schema of ${endpoint()}\n  src/gql/gql.ts\n  src/gql/graphql.ts\n  src/gql/index.ts\n  src/gql/schema.graphql\n`,
      )
      await write('src/checks.ts', CHECKS(extension))
      expect(await compile(module)).toBe('')
    },
  )

  it('generates the same from the server, from the database and from the file that it has written', async () => {
    await write('src/app.ts', APP(''))
    await codegen('--schema', endpoint())
    const fromServer = await generated()
    for (const source of [log.database.url, 'src/gql/schema.graphql']) {
      const { code, stdout, stderr } = await codegen('--schema', source)
      expect([code, stderr]).toEqual([0, ''])
      expect(stdout).not.toMatch(/postgres(ql)?:\/\//) // it may contain a password
      expect(await generated()).toEqual(fromServer)
    }
  })

  it('begins without operations, takes other folders, and the server of the configuration', async () => {
    await write('app/page.tsx', APP('').replace('./gql/', './types/'))
    const port = new URL(live.server.url).port
    expect(await codegen('--port', port, '--out', 'app/types', 'app/**/*.tsx')).toMatchObject({ code: 0 })
    expect(await readFile(join(folder, 'app/types/graphql.ts'), 'utf8')).toContain('ChangesSubscription')
    expect(await codegen('--port', port)).toMatchObject({ code: 0, stderr: '' })
    expect(Object.keys(await generated())).toEqual(['gql.ts', 'graphql.ts', 'index.ts', 'schema.graphql'])
  })

  it('sends a header, for servers that ask for a token', async () => {
    const role = `viewer_${log.database.name}`
    await log.database.query(`create role ${role}; grant ${role} to ${log.database.name}`)
    const secured = await createLive(log, {
      introspection: true,
      authenticate: async ({ request }) => {
        if (request.headers.authorization !== 'Bearer right') throw new Error('no')
        return { role }
      },
    })
    try {
      const url = `${secured.server.url}/graphql`
      const refused = await codegen('--schema', url, '--header', 'authorization: Bearer wrong')
      expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('--header "authorization') })
      expect(refused.stderr).not.toContain('wrong')
      const accepted = await codegen('--schema', url, '--header', 'authorization: Bearer right')
      expect(accepted).toMatchObject({ code: 0, stderr: '' })
    } finally {
      await secured.close()
      await log.database.query(`drop role ${role}`)
    }
  })
})

describe('an error is clear', () => {
  it.each([
    ['a typo in an operation', 'query Typo { things { rows { wrods } } }', /Cannot query field "wrods" on type "Things".*Did you mean "words"/],
    ['a syntax error', 'query Broken { things { rows { words } }', /Syntax Error/],
  ])('%s, although other operations are right', async (_what, operation, message) => {
    await write('src/app.ts', APP(''))
    await write('src/wrong.ts', `import { graphql } from './gql/index'\nexport const WRONG = graphql(\`${operation}\`)\n`)
    const { code, stderr } = await codegen('--schema', endpoint(), 'src/**/*.ts')
    expect(code).toBe(1)
    expect(stderr).toMatch(message)
    expect(stderr).not.toMatch(/^\s+at .*node_modules/m)
  }) // biome-ignore format: a table

  it.each<[string, () => string[], number, RegExp]>([
    ['no server', () => ['--schema', 'http://localhost:9/graphql'], 1, /cannot be read from http:\/\/localhost:9\/graphql: .+\nstart the server/],
    ['the URL of the page', () => ['--schema', live.server.url], 1, /\ngive the whole URL of the GraphQL endpoint/],
    ['no file', () => ['--schema', 'nowhere.graphql'], 1, /cannot be read from nowhere\.graphql: ENOENT.*\n--schema is/],
    ['a file that is no SDL', () => ['--schema', 'package.json'], 1, /cannot be read from package\.json: Syntax Error/],
    ['no database', () => ['--schema', 'postgres://me:secret@localhost:9/x'], 1, /cannot connect as 'me'/],
    ['a header without a name', () => ['--header', 'secret'], 2, /^listenql: --header is a name, a colon and a value\n/],
    ['another extension', () => ['--import-extension', '.ts'], 2, /^listenql: --import-extension is \.js\n/],
    ['no watcher', () => ['--watch', '--schema', endpoint()], 1, /@parcel\/watcher is not installed.*\nnpm install --save-dev @parcel\/watcher\n$/],
  ])('%s', async (_what, argv, expected, message) => {
    const { code, stderr } = await codegen(...argv())
    expect(code).toBe(expected)
    expect(stderr).toMatch(message)
    expect(stderr).not.toContain('secret')
  }) // biome-ignore format: a table

  it('no introspection', async () => {
    const silent = await createLive(log, { introspection: false })
    const { code, stderr } = await codegen('--schema', `${silent.server.url}/graphql`)
    await silent.close()
    expect(code).toBe(1)
    expect(stderr).toMatch(
      /introspection.*\n.*npx listenql schema > schema.graphql, then --schema schema.graphql/i,
    )
  })

  it('a generator whose parts the project cannot import, as with pnpm', async () => {
    await rm(join(folder, 'node_modules'))
    await mkdir(join(folder, 'node_modules/@graphql-codegen'), { recursive: true })
    await symlink(
      resolve('node_modules/@graphql-codegen/cli'),
      join(folder, 'node_modules/@graphql-codegen/cli'),
    )
    const { code, stderr } = await codegen('--schema', endpoint())
    expect(code).toBe(1)
    expect(stderr).toContain(
      'npm install --save-dev @graphql-codegen/client-preset @graphql-typed-document-node/core\n',
    )
  })

  it('no generator, before anything is written', async () => {
    await rm(join(folder, 'node_modules'))
    const { code, stderr } = await codegen('--schema', endpoint())
    expect(code).toBe(1)
    expect(stderr).toBe(
      `listenql: @graphql-codegen/cli is not installed in ${folder}\nnpm install --save-dev @graphql-codegen/cli\n`,
    )
    expect(await readdir(folder)).toEqual(['package.json'])
  })
})
