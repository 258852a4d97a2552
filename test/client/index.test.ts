import { resolve } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'vite'
import { describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '../..')
const CLIENT = resolve(root, 'dist/src/client/index.js')
const REACT = resolve(root, 'dist/src/client/react/index.js')
const TANSTACK_DB = resolve(root, 'dist/src/client/tanstack-db/index.js')

/** Bundles a module as an application would, without optional packages. */
async function bundle(text: string): Promise<{ readonly code: string; readonly imports: readonly string[] }> {
  const entry = resolve(root, 'bundle-of-a-test.js') // no such file: the text is in memory
  const built = await build({
    root,
    configFile: false,
    logLevel: 'silent',
    resolve: {
      alias: { 'listenql/client': CLIENT, 'listenql/react': REACT, 'listenql/tanstack-db': TANSTACK_DB },
    },
    plugins: [
      {
        name: 'entry',
        enforce: 'pre',
        resolveId: id => (id === entry ? entry : undefined),
        load: id => (id === entry ? text : undefined),
      },
    ],
    build: {
      write: false,
      minify: true,
      rollupOptions: {
        input: entry,
        external: ['react', '@tanstack/db'],
        preserveEntrySignatures: 'strict',
        output: { format: 'es' },
      },
    },
  })
  const [output] = [built].flat()
  const chunk = output && 'output' in output ? output.output[0] : undefined
  if (!chunk) throw new Error('vite built nothing')
  return chunk
}
const compressed = async (text: string) => gzipSync((await bundle(text)).code).length

describe('a bundle', () => {
  it('with all of listenql/client has at most 6 kB more, compressed, than one with graphql-ws', async () => {
    const base = await compressed(`export { createClient } from 'graphql-ws/client'`)
    const all = await compressed(`export * from 'listenql/client'`)
    expect(base).toBeGreaterThan(2_000)
    expect(all - base).toBeLessThanOrEqual(6_000)
  })

  it('has only what is used', async () => {
    const { code: client } = await bundle(`export { createClient } from 'listenql/client'`)
    expect(client).toContain('catching-up')
    expect(client).not.toMatch(/TRUNCATE|FragmentDefinition/)
  })

  it.each([
    ['listenql/client', []],
    ['listenql/react', ['react']],
    ['listenql/tanstack-db', ['@tanstack/db']],
  ])('with %s has no code of the server, of Node or of graphql, and imports %j', async (name, packages) => {
    const { code, imports } = await bundle(`export * from '${name}'`)
    expect(code.length).toBeGreaterThan(5_000)
    expect(code).not.toMatch(/node:|EMBEDDED_POSTGRES|pg_notify|GraphQLError|yoga/i)
    expect(imports).toEqual(packages)
  })
})
