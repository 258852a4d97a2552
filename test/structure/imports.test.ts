import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '../..')

/** Runs in browsers: imports nothing of the project outside itself, and no module of Node. */
const CLIENT = 'src/client'
/** The part of the client for React. */
const REACT = `${CLIENT}/react`
/** The page, an application for browsers that Vite builds. */
const PAGE = 'page'
/** Only the command line and the composition root may import it. */
const CONFIG = 'src/config'

/**
 * From the top down: a file may import from its own part and from lower layers, never from higher layers or from other parts of
 * its layer. The longest prefix counts, so a folder can have layers of its own.
 */
const LAYERS: readonly (readonly string[])[] = [
  ['src/cli.ts', 'src/index.ts', 'src/commands'],
  ['src/commands/shared'],
  ['src/server'],
  ['src/embedded', 'src/transport/router.ts', 'src/codegen'],
  ['src/transport/ws'],
  ['src/transport/http'],
  ['src/transport'],
  ['src/transport/limits'],
  ['src/graphql'],
  ['schema', 'src/delivery'],
  ['src/live'],
  ['src/snapshots', 'src/pubsub'],
  ['src/plan'],
  ['src/sources/channels', 'src/sources/tables'],
  ['src/sources'],
  ['src/rls'],
  ['src/auth', 'src/log'],
  ['src/catalog'],
  ['src/filters'],
  ['src/postgres', CONFIG, 'src/telemetry', REACT],
  ['src/lib/limits'],
  ['src/lib', CLIENT],
]
/** Parts of one layer that may import each other: the library exports what the command line uses. */
const ENTRIES = ['src/cli.ts', 'src/index.ts', 'src/commands']
/** Maximum number of files in a folder; a folder with more holds several ideas. */
const MAX_FILES = 25

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.ts') && !file.endsWith('.d.ts'))
    .map(file => join(folder, file))
}

const files = [...sources('src'), ...sources('schema')]

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8')
  return [...text.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)].map(([, path]) =>
    relative(root, resolve(root, dirname(file), path as string)).replace(/\.js$/, '.ts'),
  )
}

/** Returns the layer of a file, counted from the top, and the file's part of that layer. */
function placeOf(file: string): { readonly layer: number; readonly part: string } {
  let place = { layer: -1, part: '' }
  for (const [layer, parts] of LAYERS.entries())
    for (const part of parts)
      if ((file === part || file.startsWith(`${part}/`)) && part.length > place.part.length)
        place = { layer, part }
  return place
}

function mayImport(file: string, target: string): boolean {
  const from = placeOf(file)
  const to = placeOf(target)
  if (from.layer !== to.layer) return from.layer < to.layer
  return from.part === to.part || ENTRIES.includes(from.part)
}

it('the search finds the source files', () => {
  expect(files.length).toBeGreaterThan(40)
  expect(importsOf('src/server/create-server.ts')).toContain('src/lib/errors.ts')
})

it('every file has a layer, and every part has a file', () => {
  expect(files.filter(file => placeOf(file).layer < 0)).toEqual([])
  const parts = new Set(files.map(file => placeOf(file).part))
  expect(LAYERS.flat().filter(part => !parts.has(part))).toEqual([])
})

it('imports point downwards only', () => {
  const wrong = files.flatMap(file =>
    importsOf(file)
      .filter(target => files.includes(target) && !mayImport(file, target))
      .map(target => `${file} -> ${target}`),
  )
  expect(wrong).toEqual([])
})

it('the check notices an import that points upwards or sideways', () => {
  expect(mayImport('src/log/pace/doorbell.ts', 'src/lib/abort.ts')).toBe(true)
  expect(mayImport('src/log/pace/doorbell.ts', 'src/sources/source.ts')).toBe(false)
  expect(mayImport('src/auth/kicks.ts', 'src/log/pace/doorbell.ts')).toBe(false)
  expect(mayImport('src/transport/http/sse.ts', 'src/transport/ws/listen.ts')).toBe(false)
  expect(mayImport('src/transport/ws/listen.ts', 'src/transport/http/reply.ts')).toBe(true)
})

it(`no folder has more than ${MAX_FILES} files`, () => {
  const sizes = new Map<string, number>()
  for (const file of files) sizes.set(dirname(file), (sizes.get(dirname(file)) ?? 0) + 1)
  expect([...sizes].filter(([, size]) => size > MAX_FILES)).toEqual([])
})

it('only the command line and the composition root import config', () => {
  const users = files
    .filter(file => importsOf(file).some(target => target.startsWith(CONFIG)))
    .filter(file => !file.startsWith(CONFIG))
    .map(file => placeOf(file).part)
  expect([...new Set(users)].sort()).toEqual([
    'src/commands',
    'src/commands/shared',
    'src/index.ts',
    'src/server',
  ])
})

it('the client imports nothing that browsers lack', () => {
  const client = files.filter(file => file.startsWith(CLIENT))
  expect(client).toContain(join(CLIENT, 'index.ts'))
  expect(client.flatMap(importsOf).filter(target => !target.startsWith(CLIENT))).toEqual([])
  // In the project, only a command that is a client itself may import it.
  expect(
    files.filter(file => !file.startsWith(CLIENT) && importsOf(file).some(to => to.startsWith(CLIENT))),
  ).toEqual(['src/commands/tail.ts'])
  const textOf = (some: readonly string[]) =>
    some.map(file => readFileSync(join(root, file), 'utf8')).join('\n')
  const packagesOf = (text: string) =>
    new Set([...text.matchAll(/(?:from|import\()\s*'([^.'][^']*)'/g)].map(([, name]) => name))
  const isIn = (folder: string) => (file: string) => file.startsWith(`${CLIENT}/${folder}/`)
  /** The packages of each entry point; Apollo Client depends on graphql and rxjs, urql on wonka. */
  const entries: Readonly<Record<string, readonly string[]>> = {
    react: ['react'],
    'tanstack-db': ['@tanstack/db'],
    apollo: ['@apollo/client', '@apollo/client/cache', '@apollo/client/errors', 'graphql', 'rxjs'],
    urql: ['@urql/core', '@urql/exchange-graphcache', 'graphql', 'wonka'],
  }
  const folders = Object.keys(entries)
  const plain = client.filter(file => !folders.some(folder => isIn(folder)(file)))
  expect(packagesOf(textOf(plain))).toEqual(new Set(['graphql-ws/client', 'graphql']))
  for (const folder of folders) {
    expect(packagesOf(textOf(client.filter(isIn(folder))))).toEqual(new Set(entries[folder]))
    // Nothing else of the client imports the entry points, so that an application needs the packages of one only.
    const others = client.filter(file => !isIn(folder)(file))
    expect(others.flatMap(importsOf).filter(isIn(folder))).toEqual([])
  }
  // Of graphql, only types; Apollo Client brings it along.
  expect(textOf(client.filter(file => !isIn('apollo')(file)))).not.toMatch(/^import (?!type)[^']*'graphql'/m)
  const text = textOf(client)
  expect(text).not.toMatch(/\b(process|Buffer|setImmediate|require|__dirname)\b[.(]/)
})

it('the page imports nothing of the project but the client, and nothing imports the page', () => {
  const page = readdirSync(join(root, PAGE), { recursive: true, encoding: 'utf8' })
    .filter(file => /\.tsx?$/.test(file) && file !== 'vite.config.ts')
    .map(file => join(PAGE, file))
  expect(page).toContain(join(PAGE, 'main.tsx'))
  const targets = new Set(page.flatMap(importsOf))
  expect(targets).toContain(`${REACT}/index.ts`)
  const isAllowed = (target: string) => [PAGE, CLIENT].some(folder => target.startsWith(`${folder}/`))
  expect([...targets].filter(target => !isAllowed(target))).toEqual([])
  expect(files.filter(file => importsOf(file).some(target => target.startsWith(`${PAGE}/`)))).toEqual([])
})

it('the imports contain no cycle', () => {
  const done = new Set<string>()
  const circles: string[] = []
  function visit(file: string, path: readonly string[]): void {
    if (path.includes(file)) {
      circles.push([...path.slice(path.indexOf(file)), file].join(' -> '))
      return
    }
    if (done.has(file)) return
    for (const target of importsOf(file)) if (files.includes(target)) visit(target, [...path, file])
    done.add(file)
  }
  for (const file of files) visit(file, [])
  expect(circles).toEqual([])
})
