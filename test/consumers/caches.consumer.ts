import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Consumer, createConsumer } from '../support/consumer.js'

/** The entry points for caches, an app with each, and the packages that it installs besides. */
const CACHES = [
  {
    name: 'apollo',
    packages: ['@apollo/client@4', 'rxjs@7', 'graphql@16'],
    app: `
      import { createLiveCacheLink, typePoliciesOf } from 'listenql/apollo'
      const link = createLiveCacheLink({ client: { subscribe: () => () => {} }, tables: { rows: {}, query: 'Query', roots: {}, embedded: [] } })
      console.log(typeof link.request, JSON.stringify(typePoliciesOf({ People: ['pk'] }).People))`,
    prints: 'function {"keyFields":["pk"]}\n',
  },
  {
    name: 'urql',
    packages: ['@urql/core@6', '@urql/exchange-graphcache@9', 'wonka@6'],
    app: `
      import { keysOf, liveCacheExchange } from 'listenql/urql'
      const exchange = liveCacheExchange({ client: { subscribe: () => () => {} }, tables: { rows: {}, query: 'Query', roots: {}, embedded: [] } })
      console.log(typeof exchange, keysOf({ People: ['pk'] }).People({ pk: 7 }))`,
    prints: 'function 7\n',
  },
]

describe.each(CACHES)('listenql/$name in a bundle', ({ packages, app, prints }) => {
  let consumer: Consumer
  beforeAll(async () => {
    consumer = await createConsumer({ packages: ['esbuild@0.28', ...packages] })
    await consumer.write('app.js', app)
  }, 300_000)
  afterAll(() => consumer.close())

  /** Bundles the app. */
  async function bundle(file: string, ...options: string[]): Promise<string> {
    const common = [
      'app.js',
      '--bundle',
      '--minify',
      '--format=esm',
      '--log-level=error',
      `--outfile=${file}`,
    ]
    const built = await consumer.run('node_modules/.bin/esbuild', [...common, ...options])
    expect(built).toEqual({ code: 0, stdout: '', stderr: '' })
    return readFile(join(consumer.folder, file), 'utf8')
  }

  it('installs without a warning that would worry users', () => {
    expect(consumer.printed).not.toMatch(/EBADENGINE|deprecated|ERESOLVE/)
  })

  it('is small and contains nothing of the server', async () => {
    const own = await bundle(
      'own.mjs',
      ...['@apollo/*', '@urql/*', 'rxjs', 'wonka', 'graphql'].map(name => `--external:${name}`),
    )
    expect(own.length).toBeLessThan(14_000)
    expect(own).not.toMatch(/node:|EMBEDDED_POSTGRES|pg_notify|graphql-ws/)
  })

  it('works', async () => {
    await bundle('whole.mjs', '--platform=browser')
    expect(await consumer.run(process.execPath, ['whole.mjs'])).toEqual({
      code: 0,
      stdout: prints,
      stderr: '',
    })
  })
})
