import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '../..')

/** Runs in browsers: nothing of ours beside itself, and no part of Node. */
const CLIENT = 'src/client'
/** From the top down: a file may import from its own layer's folder and from the layers below, never from above. */
const LAYERS: readonly (readonly string[])[] = [
  ['src/cli.ts', 'src/commands', 'src/index.ts'],
  ['src/app.ts', 'src/app'],
  ['src/transport', 'schema', 'src/telemetry'],
  ['src/delivery'],
  ['src/events', 'src/auth'],
  ['src/filters'],
  ['src/database'],
  ['src/lib', CLIENT],
]
/** Beside the layers: only the command line and the composition root may know it. */
const CONFIG = 'src/config'

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

function layerOf(file: string): number {
  return LAYERS.findIndex(layer => layer.some(part => file === part || file.startsWith(`${part}/`)))
}

it('finds the sources', () => {
  expect(files.length).toBeGreaterThan(40)
  expect(importsOf('src/app.ts')).toContain('src/lib/errors.ts')
})

it('has a layer for every file', () => {
  expect(files.filter(file => layerOf(file) < 0 && !file.startsWith(CONFIG))).toEqual([])
})

it('imports downwards only', () => {
  const upwards = files
    .filter(file => layerOf(file) >= 0)
    .flatMap(file => importsOf(file).map(target => [file, target] as const))
    .filter(([file, target]) => layerOf(target) >= 0 && layerOf(target) < layerOf(file))
  expect(upwards).toEqual([])
})

it('keeps config to the command line and the composition root', () => {
  const users = files
    .filter(file => importsOf(file).some(target => target.startsWith(CONFIG)))
    .filter(file => !file.startsWith(CONFIG) && layerOf(file) > 1)
  expect(users).toEqual([])
  const config = files.filter(file => file.startsWith(CONFIG)).flatMap(importsOf)
  expect(config.filter(target => !target.startsWith(CONFIG) && !target.startsWith('src/lib'))).toEqual([])
})

it('keeps the client fit for browsers', () => {
  const client = files.filter(file => file.startsWith(CLIENT))
  expect(client).toContain(join(CLIENT, 'index.ts'))
  expect(client.flatMap(importsOf).filter(target => !target.startsWith(CLIENT))).toEqual([])
  // Of ours only a command that is a client itself may use it.
  expect(
    files.filter(file => !file.startsWith(CLIENT) && importsOf(file).some(to => to.startsWith(CLIENT))),
  ).toEqual(['src/commands/tail.ts'])
  const text = client.map(file => readFileSync(join(root, file), 'utf8')).join('\n')
  const packages = [...text.matchAll(/(?:from|import\()\s*'([^.'][^']*)'/g)].map(([, name]) => name)
  expect(new Set(packages)).toEqual(new Set(['graphql-ws/client']))
  expect(text).not.toMatch(/\b(process|Buffer|setImmediate|require|__dirname)\b[.(]/)
})

it('has no circles', () => {
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
