import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { overSse } from '../../support/clients.js'
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js'
import { waitUntil } from '../../support/wait.js'

const run = promisify(execFile)

interface Manifest {
  readonly version: string
  readonly bin: { readonly listenql: string }
  readonly dependencies: Record<string, string>
  readonly optionalDependencies: Record<string, string>
}

let database: TestDatabase
let project: string
let files: { readonly path: string; readonly mode: number }[]
let manifest: Manifest

/** A project with the packed package and its declared dependencies, and nothing else. */
beforeAll(async () => {
  database = await createTestDatabase()
  project = await realpath(await mkdtemp(join(tmpdir(), 'listenql-package-')))
  // The build exists already, as for all tests of the command; building here would break tests that run at the same time.
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', project])
  const [packed] = JSON.parse(stdout) as [{ filename: string; files: typeof files }]
  files = packed.files
  const installed = join(project, 'node_modules', 'listenql')
  await mkdir(installed, { recursive: true })
  await run('tar', ['-xzf', join(project, packed.filename), '-C', installed, '--strip-components', '1'])
  manifest = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'))
  await writeFile(join(project, 'package.json'), JSON.stringify({ name: 'project', type: 'module' }))
  for (const name of Object.keys(manifest.dependencies)) await link(name)
}, 60_000)

afterAll(async () => {
  await database.close()
  await rm(project, { recursive: true, force: true })
})

async function link(name: string): Promise<void> {
  const path = join(project, 'node_modules', name)
  await mkdir(dirname(path), { recursive: true })
  await symlink(resolve('node_modules', name), path)
}

/** Runs a module in that project; resolves when it has ended by itself with code 0. */
async function runModule(name: string, source: string): Promise<string[]> {
  await writeFile(join(project, name), source)
  const { stdout, stderr } = await run(process.execPath, [name], {
    cwd: project,
    env: { DATABASE_URL: database.url },
    timeout: 25_000,
  })
  expect(stderr).toBe('')
  return stdout.trim().split('\n')
}

describe('the package', () => {
  it('contains what it needs and nothing else', () => {
    const paths = files.map(file => file.path)
    expect(paths).toEqual(
      expect.arrayContaining([
        'README.md',
        'LICENSE',
        'CHANGELOG.md',
        'package.json',
        'dist/page/index.html',
        'dist/page/assets/page.js',
        'dist/page/assets/page.css',
        'assets/graphiql.css',
        'page/public/assets/favicon.svg',
        'sql/demo.sql',
        'docs/library.md',
        'docs/configuration.md',
        'dist/src/index.js',
        'dist/src/index.d.ts',
        'dist/src/cli.js',
        'dist/schema/index.js',
      ]),
    )
    const places = new Set(paths.map(path => path.split('/')[0]))
    expect([...places].sort()).toEqual([
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'assets',
      'dist',
      'docs',
      'package.json',
      'page',
      'sql',
    ])
    expect(paths.filter(path => /\.map$|\.tsbuildinfo$|\.test\.|(^|\/)test\/|[^d]\.ts$/.test(path))).toEqual(
      [],
    )
  })

  it('has a command that can be run', async () => {
    const path = manifest.bin.listenql
    expect(files.find(file => file.path === path)?.mode).toBe(0o755)
    expect((await run(join('node_modules', 'listenql', path), ['--version'], { cwd: project })).stdout).toBe(
      `listenql ${manifest.version}\n`,
    )
  })
})

describe('import from the package', () => {
  it('starts a server, which serves, closes, and leaves nothing that keeps the process alive', async () => {
    const lines = await runModule(
      'server.js',
      `import { createServer } from 'listenql'
      const server = await createServer({ databaseUrl: process.env.DATABASE_URL, port: 0, logLevel: 'silent' })
      const response = await fetch(server.url + '/graphql', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query: '{ channels }' }),
      })
      console.log(JSON.stringify(await response.json()))
      console.log((await fetch(server.url + '/')).status)
      await server.close()`,
    )
    expect(lines).toEqual(['{"data":{"channels":["*"]}}', '200'])
  })

  it('exports an event target for createPubSub, and a bounded pub/sub', async () => {
    const lines = await runModule(
      'event-target.js',
      `import { createPubSub } from '@graphql-yoga/subscription'
      import { createBoundedPubSub, createPostgresEventTarget } from 'listenql'
      const eventTarget = createPostgresEventTarget({ connectionString: process.env.DATABASE_URL })
      const bounded = createBoundedPubSub({ eventTarget }).subscribe('user', '42')
      const plain = createPubSub({ eventTarget }).subscribe('user', '42').next()
      await eventTarget.ready()
      createPubSub({ eventTarget }).publish('user', '42', { name: 'Ada' })
      console.log(JSON.stringify([(await plain).value, (await bounded.next()).value]))
      await eventTarget.close()`,
    )
    expect(lines).toEqual(['[{"name":"Ada"},{"name":"Ada"}]'])
  })

  it('has types that compile in a strict project', async () => {
    await writeFile(
      join(project, 'typed.ts'),
      `import { createPubSub } from '@graphql-yoga/subscription'
      import { createBoundedPubSub, createPostgresEventTarget, createServer, ListenqlError } from 'listenql'
      interface User { name: string }
      const connectionString = process.env.DATABASE_URL
      const pubSub = createPubSub<{ userChanged: [id: string, payload: User] }>({
        eventTarget: createPostgresEventTarget({ connectionString, onError: error => console.error(error.message) }),
      })
      pubSub.publish('userChanged', '42', { name: 'Ada' })
      // @ts-expect-error: not a user
      pubSub.publish('userChanged', '42', { nam: 'Ada' })
      const eventTarget = createPostgresEventTarget({ connectionString })
      const bounded = createBoundedPubSub<{ userChanged: [id: string, payload: User] }>({ eventTarget })
      for await (const user of bounded.subscribe('userChanged', '42')) user.name satisfies string
      const server = await createServer({ port: 0, maxBuffer: 1024 ** 2 })
      server.url satisfies string
      // @ts-expect-error: there is no such option
      await createServer({ prot: 0 })
      new ListenqlError('BAD_CONFIGURATION', 'x').code satisfies string`,
    )
    const options = { target: 'es2022', module: 'nodenext', strict: true, noEmit: true, types: ['node'] }
    const strictest = { exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, skipLibCheck: true }
    await writeFile(
      join(project, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: { ...options, ...strictest }, files: ['typed.ts'] }),
    )
    const checked = await run(resolve('node_modules/.bin/tsc'), ['-p', '.'], { cwd: project }).catch(
      error => error,
    )
    expect(checked.stdout).toBe('')
  })
})

describe('the example of a Yoga server', () => {
  it('delivers in one process what is published in another or in SQL, and ends on SIGINT', async () => {
    await copyFile('examples/yoga/server.js', join(project, 'yoga.js'))
    const start = async () => {
      const env = { DATABASE_URL: database.url, PORT: '0' }
      const child = spawn(process.execPath, ['yoga.js'], {
        cwd: project,
        env,
        stdio: ['ignore', 'pipe', 'ignore'],
      })
      const [line] = await once(child.stdout.setEncoding('utf8'), 'data')
      return { child, url: String(line).trim().replace('/graphql', '') }
    }
    const servers = await Promise.all([start(), start()])
    try {
      const [listening, speaking] = servers
      const subscription = await overSse('POST')(listening.url, 'subscription { said(room: "kitchen") }')
      const listens = `select 1 from pg_stat_activity where datname = current_database() and query = 'listen "said:kitchen"'`
      await waitUntil(async () => (await database.query(listens)).length === 1, 'LISTEN')
      await fetch(`${speaking.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query: 'mutation { say(room: "kitchen", text: "tea is ready") }' }),
      })
      expect(await subscription.results.next()).toEqual({ data: { said: 'tea is ready' } })
      await database.query(`select pg_notify('said:kitchen', '"so is the cake"')`)
      expect(await subscription.results.next()).toEqual({ data: { said: 'so is the cake' } })

      // A topic that Postgres does not accept fails at its subscriber, and affects no other subscriber.
      const refused = await overSse('POST')(listening.url, `subscription { said(room: "${'x'.repeat(60)}") }`)
      expect(await refused.results.next()).toMatchObject({ errors: [{ message: 'Unexpected error.' }] })
      await database.query(`select pg_notify('said:kitchen', '"and the bread"')`)
      expect(await subscription.results.next()).toEqual({ data: { said: 'and the bread' } })
      await subscription.close()
      await refused.close()
      for (const { child } of servers) {
        const ended = once(child, 'exit')
        child.kill('SIGINT')
        expect(await ended).toEqual([0, null])
      }
    } finally {
      for (const { child } of servers) child.kill('SIGKILL')
    }
  })
})
