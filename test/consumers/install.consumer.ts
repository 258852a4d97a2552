import { existsSync } from 'node:fs'
import { chmod, mkdtemp, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Consumer, createConsumer, type InstalledNode, installNode } from '../support/consumer.js'
import { listeningUrl } from '../support/listening-url.js'
import { createTestDatabase, type TestDatabase } from '../support/postgres.js'
import { cleanEnvironment, createCommands } from '../support/running.js'
import { waitUntil } from '../support/wait.js'

let consumer: Consumer
let oldest: InstalledNode
let database: TestDatabase
beforeAll(async () => {
  // The oldest supported Node prints the most warnings.
  oldest = await installNode(20)
  consumer = await createConsumer({
    packages: ['esbuild@0.28', 'vite@8.3', '@tanstack/db@0.15'],
    node: oldest.node,
  })
  database = await createTestDatabase()
})
afterAll(async () => {
  await consumer.close()
  await oldest.close()
  await database.close()
})

describe('npm install', () => {
  it('prints no warning that would worry users', () => {
    expect(consumer.printed).not.toMatch(/EBADENGINE|deprecated|ERESOLVE/)
  })

  it('installs no generator of code, which few projects need', async () => {
    expect(existsSync(join(consumer.folder, 'node_modules/@graphql-codegen'))).toBe(false)
  })

  it('leaves a tree without problems, with one copy of graphql', async () => {
    const { code, stdout } = await consumer.run('npm', ['ls', '--all', '--json'])
    expect(code).toBe(0)
    const versions = new Set([...stdout.matchAll(/"graphql": \{\s*"version": "([^"]+)"/g)].map(([, v]) => v))
    expect(versions.size).toBe(1)
  })
})

const ESM = `
import * as listenql from 'listenql'
import * as client from 'listenql/client'
import * as codegen from 'listenql/codegen'
const server = await listenql.createServer({ databaseUrl: process.env.DATABASE_URL, port: 0, logLevel: 'silent' })
const response = await fetch(server.url + '/graphql', {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ query: '{ channels }' }),
})
console.log(JSON.stringify([Object.keys(listenql).sort(), Object.keys(client).sort(), Object.keys(codegen).sort(), await response.json()]))
await server.close()
`
const CJS = ESM.replace(/import \* as (\w+) from '([^']+)'/g, `const $1 = require('$2')`).replace(
  /(const server.*)/s,
  ';(async () => {$1})()',
)
const EXPORTED = [
  ['ListenqlError', 'createBoundedPubSub', 'createPostgresEventTarget', 'createServer'],
  [
    'SubscriptionError',
    'applyChange',
    'channelEvents',
    'createClient',
    'createRowFeed',
    'liveQuery',
    'liveRows',
  ],
  ['SCALAR_TYPES', 'codegenConfig'],
  { data: { channels: ['*'] } },
]

/** Subscribes with the client of the package, and prints the first change. */
const SUBSCRIBE = `
import { createClient } from 'listenql/client'
globalThis.WebSocket ??= (await import('ws')).WebSocket
const client = createClient({ url: process.env.LISTEN_TO })
client.on('ping', (received, payload) => received && payload?.cursors && console.log('subscribed'))
for await (const { data } of client.iterate({ query: 'subscription { peopleChanged { row { name } } }' })) {
  console.log(JSON.stringify(data))
  break
}
await client.dispose()
`

describe.each([20, 22, 24])('on Node %i,', version => {
  let installed: InstalledNode
  const commands = createCommands()
  beforeAll(async () => {
    installed = await installNode(version)
  })
  afterAll(async () => {
    await commands.endAll()
    await installed.close()
  })

  it('the program has that version', async () => {
    const { stdout } = await consumer.run(installed.node, ['--version'])
    expect(stdout).toMatch(new RegExp(`^v${version}\\.`))
  })

  it.each([
    ['import', 'esm.mjs', ESM],
    ['require', 'cjs.cjs', CJS],
  ])('%s finds every export', async (_how, name, source) => {
    await consumer.write(name, source)
    const { code, stdout, stderr } = await consumer.run(installed.node, [name], {
      DATABASE_URL: database.url,
    })
    expect(stderr).toBe('')
    expect(JSON.parse(stdout)).toEqual(EXPORTED)
    expect(code).toBe(0)
  })

  it('the demo works from the first start to a change that a client receives', async () => {
    const bin = join(consumer.folder, 'node_modules/listenql/dist/src/cli.js')
    const options = { cwd: consumer.folder }
    const place = ['--data-dir', join(consumer.folder, `demo-${version}`)]
    const server = commands.spawn(installed.node, [bin, '--port', '0', ...place], options)
    const url = await waitUntil(() => listeningUrl(server.err()), `the server, ${server.err()}`, 60_000)
    expect(server.err()).not.toMatch(/warn|error/i)
    await consumer.write('subscribe.mjs', SUBSCRIBE)
    const env = { ...cleanEnvironment(), LISTEN_TO: `${url.replace('http', 'ws')}/graphql` }
    const subscriber = commands.spawn(installed.node, ['subscribe.mjs'], { ...options, env })
    await waitUntil(() => subscriber.out().includes('subscribed'), `the subscription, ${subscriber.err()}`)
    const statement = `INSERT INTO people (name, age) VALUES ('Ada', 36)`
    const sql = commands.spawn(installed.node, [bin, 'sql', statement, ...place], options)
    expect(await sql.end).toBe(0)
    expect(await subscriber.end).toBe(0)
    expect(subscriber.out()).toContain('{"peopleChanged":{"row":{"name":"Ada"}}}')
    server.child.kill('SIGTERM')
    expect(await server.end).toBe(0)
  })
})

describe('a data directory without write permission', () => {
  const commands = createCommands()
  afterAll(() => commands.endAll())
  /** Permissions do not apply to root. */
  const unprivileged = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {}

  it.each(['', 'data', 'users', 'postgres.log'])('is reported in one line: /%s', async part => {
    const folder = await mkdtemp(join(consumer.folder, 'read-only-'))
    await chmod(folder, 0o777)
    const place = join(folder, 'it')
    const serve = () => {
      const bin = join(consumer.folder, 'node_modules/listenql/dist/src/cli.js')
      return commands.spawn(oldest.node, [bin, '--port', '0', '--data-dir', place], unprivileged)
    }
    const first = serve()
    await waitUntil(() => listeningUrl(first.err()), `the server, ${first.err()}`, 60_000)
    first.child.kill('SIGTERM')
    expect(await first.end).toBe(0)

    const path = join(place, part)
    const before = (await stat(path)).mode
    await chmod(path, before & 0o555)
    const second = serve()
    expect(await second.end).toBe(1)
    await chmod(path, before)
    expect(second.err()).toMatch(
      /^listenql: (cannot write to|Postgres did not start: .*[Pp]ermission denied).*\n.+\n$/,
    )
    expect(second.err()).toContain(place)
    expect(second.err()).not.toContain('--debug')
  })
})

/** Prints its first result and a word about what it imports. */
const APPS = {
  'listenql/client': {
    maxLength: 23_000,
    source: `
    import { applyChange, createClient } from 'listenql/client'
    const client = createClient({ url: globalThis.LISTEN_TO, retryAttempts: 0 })
    const seen = client.iterate({ query: '{ channels }' })
    console.log(JSON.stringify((await seen.next()).value), typeof applyChange)
    await client.dispose()
  `,
    printed: '{"data":{"channels":["*"]}} function\n',
  },
  'listenql/tanstack-db': {
    // TanStack DB itself is most of it.
    maxLength: Number.POSITIVE_INFINITY,
    source: `
    import { createCollection } from '@tanstack/db'
    import { createClient } from 'listenql/client'
    import { listenqlCollectionOptions } from 'listenql/tanstack-db'
    const client = createClient({ url: globalThis.LISTEN_TO, retryAttempts: 0 })
    const people = createCollection(listenqlCollectionOptions({ client, table: 'nobody', columns: [] }))
    const failure = await people.preload().catch(error => error)
    console.log(failure.code, people.status)
    await client.dispose()
  `,
    printed: 'GRAPHQL_VALIDATION_FAILED error\n',
  },
}

describe.each(Object.entries(APPS))('%s in a bundle', (_entry, { source, maxLength, printed }) => {
  const commands = createCommands()
  afterAll(() => commands.endAll())
  const BUNDLERS = {
    esbuild: [
      'node_modules/.bin/esbuild',
      'app.js',
      '--bundle',
      '--minify',
      '--format=esm',
      '--log-level=error',
      '--outfile=esbuild/app.js',
    ],
    vite: ['node_modules/.bin/vite', 'build', '--config', 'vite.config.js', '--logLevel', 'error'],
  }

  it.each(Object.entries(BUNDLERS))(
    'in %s is small, contains nothing of the server, and works',
    async (name, [program = '', ...args]) => {
      await consumer.write('app.js', source)
      await consumer.write(
        'vite.config.js',
        `export default { build: { target: 'es2022', outDir: 'vite', emptyOutDir: false, lib: { entry: 'app.js', formats: ['es'], fileName: () => 'app.js' }, minify: true } }`,
      )
      expect(await consumer.run(program, args)).toEqual({ code: 0, stdout: '', stderr: '' })
      const bundle = await readFile(join(consumer.folder, name, 'app.js'), 'utf8')
      expect(bundle.length).toBeLessThan(maxLength)
      expect(bundle).not.toMatch(/["'`]node:|EMBEDDED_POSTGRES|pg_notify/)
      const server = await commands.serve('--database-url', database.url)
      await consumer.write(
        `${name}/run.mjs`,
        `import { WebSocket } from 'ws'
      globalThis.WebSocket ??= WebSocket
      globalThis.LISTEN_TO = ${JSON.stringify(`${server.url.replace('http', 'ws')}/graphql`)}
      await import('./app.js')`,
      )
      const { stdout, stderr } = await consumer.run(process.execPath, [`${name}/run.mjs`])
      expect([stdout, stderr]).toEqual([printed, ''])
    },
  )
})
