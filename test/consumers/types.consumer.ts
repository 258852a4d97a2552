import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Consumer, createConsumer } from '../support/consumer.js'

let consumer: Consumer
beforeAll(async () => {
  consumer = await createConsumer({
    packages: ['typescript-5@npm:typescript@5.9', 'react@19', '@types/react@19'],
  })
})
afterAll(() => consumer.close())

const SERVER = `
import {
  type Authenticate, createBoundedPubSub, createPostgresEventTarget, createServer, type Handshake, ListenqlError,
  type ListenqlServer, type Observation, type ServerOptions, type Settings,
} from 'listenql'

const authenticate: Authenticate = async ({ request, transport }: Handshake) => {
  request.headers.cookie satisfies string | undefined
  return transport === 'http' ? { role: 'user', claims: { sub: '1' }, expiresAt: new Date() } : undefined
}
const options: ServerOptions = {
  port: 0,
  maxBuffer: 1024 ** 2,
  authenticate,
  observe: (observation: Observation) => {
    if (observation.type === 'subscriber.cut') observation.reason satisfies string
  },
  logger: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
  signal: AbortSignal.timeout(1000),
}
async function start(): Promise<ListenqlServer> {
  const server = await createServer(options)
  server.url satisfies string
  server.embedded?.dataDirectory satisfies string | undefined
  return server
}
// @ts-expect-error: there is no such option
void createServer({ prot: 0 })
const retention: Settings['retention'] = 1000
new ListenqlError('BAD_CONFIGURATION', 'x').code satisfies string

interface User { name: string }
type Topics = { userChanged: [id: string, payload: User] }
const eventTarget = createPostgresEventTarget({
  connection: { host: 'localhost', ssl: { rejectUnauthorized: true }, password: async () => 'x' },
  onError: error => console.error(error.message),
})
const bounded = createBoundedPubSub<Topics>({ eventTarget })
bounded.publish('userChanged', '42', { name: 'Ada' })
// @ts-expect-error: not a user
bounded.publish('userChanged', '42', { nam: 'Ada' })
async function read() {
  for await (const user of bounded.subscribe('userChanged', '42')) user.name satisfies string
}
export { read, retention, start }
`

const CLIENT = `
import { applyChange, createClient, liveQuery, liveRows } from 'listenql/client'
const client = createClient({ url: 'ws://localhost:7700/graphql', pongTimeout: 1000 })
client.status.getSnapshot().since satisfies Date
interface Changed { readonly peopleChanged: { readonly row: { readonly pk: number } | null } }
const people = liveRows<Changed>(client, { changes: 'subscription { peopleChanged(initial: true) { operation key { pk } row { pk } } }' })
people.getSnapshot().rows satisfies readonly { readonly pk: number }[]
liveQuery<{ people: string }>(client, { query: 'subscription { people }' }).getSnapshot().data?.people satisfies string | undefined
const list = new Map<number, { pk: number }>()
client.subscribe<{ peopleChanged: { operation: 'INSERT' | 'UPDATE' | 'DELETE' | 'TRUNCATE'; key: { pk: number } | null; row: { pk: number } | null } }>(
  { query: 'subscription { peopleChanged { operation key { pk } row { pk } } }' },
  {
    next: ({ data }) => { if (data) applyChange(list, data.peopleChanged, key => key.pk) },
    error: () => {},
    complete: () => {},
  },
)
`

const REACT = `
import { createClient } from 'listenql/client'
import { ListenqlProvider, useChannel, useListenqlStatus, useLiveQuery, useLiveRows, useRowFeed } from 'listenql/react'
const client = createClient({ url: 'ws://localhost:7700/graphql' })
interface Changed { readonly peopleChanged: { readonly row: { readonly name: string } | null } }
function People() {
  const { rows, state, refetch } = useLiveRows<Changed>('subscription { peopleChanged(initial: true) { operation } }', {
    compare: (a, b) => a.name.localeCompare(b.name),
    variables: { where: {} },
  })
  useRowFeed<Changed>('subscription { peopleChanged(initial: true) { operation } }', {
    rows: rows => rows[0]?.row?.name satisfies string | undefined,
    changes: () => {},
  })
  const { data } = useLiveQuery<{ readonly people: { readonly name: string } }>(null)
  const { events } = useChannel('news', { limit: 10 })
  return <p onClick={refetch}>{state} {useListenqlStatus().state} {rows[0]?.name} {data?.people.name} {events[0]?.payload}</p>
}
export const app = <ListenqlProvider client={client}><People /></ListenqlProvider>
`

const COMMON_JS = `
async function start() {
  const { createServer } = await import('listenql')
  const { createClient } = await import('listenql/client')
  createClient({ url: 'ws://x' }).dispose satisfies Function
  return (await createServer({ port: 0 })).url satisfies string
}
module.exports = { start }
`

const STRICT = {
  target: 'es2022',
  strict: true,
  noEmit: true,
  skipLibCheck: false,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
}

const COMPILERS = {
  '5.9': () => ['node_modules/typescript-5/bin/tsc'],
  '7.0': () => [resolve('node_modules/typescript/bin/tsc')],
} as const

interface Project {
  readonly options: Record<string, unknown>
  readonly files: Record<string, string>
}

/** Only the types of Node that the package brings, unless the project lists them. */
const PROJECTS: Readonly<Record<string, Project>> = {
  nodenext: {
    options: { module: 'nodenext', types: ['node'] },
    files: { 'server.ts': SERVER, 'client.ts': CLIENT },
  },
  'nodenext, no types listed': {
    options: { module: 'nodenext', types: [], lib: ['es2023'] },
    files: { 'server.ts': SERVER },
  },
  bundler: {
    options: { module: 'esnext', moduleResolution: 'bundler', types: ['node'] },
    files: { 'server.ts': SERVER, 'client.ts': CLIENT },
  },
  'nodenext, React': {
    options: { module: 'nodenext', types: [], lib: ['es2023', 'dom'], jsx: 'react-jsx' },
    files: { 'app.tsx': REACT },
  },
  'bundler, React': {
    options: {
      module: 'esnext',
      moduleResolution: 'bundler',
      types: [],
      lib: ['es2023', 'dom'],
      jsx: 'react-jsx',
    },
    files: { 'app.tsx': REACT },
  },
  'bundler, for a browser': {
    options: { module: 'esnext', moduleResolution: 'bundler', types: [], lib: ['es2023', 'dom'] },
    files: { 'client.ts': CLIENT },
  },
  'CommonJS, import()': {
    options: { module: 'node16', types: ['node'] },
    files: { 'common.cts': COMMON_JS },
  },
  'CommonJS, require of a module': {
    options: { module: 'nodenext', types: ['node'] },
    files: { 'required.cts': SERVER, 'client.cts': CLIENT },
  },
}

describe.each(Object.entries(COMPILERS))('TypeScript %s, strict, libraries checked', (version, tsc) => {
  it.each(Object.keys(PROJECTS))('%s', async name => {
    const { options, files } = PROJECTS[name] as Project
    const folder = `types-${version}-${name.replace(/\W+/g, '-')}`
    for (const [file, text] of Object.entries(files)) await consumer.write(`${folder}/${file}`, text)
    const config = { compilerOptions: { ...STRICT, ...options }, files: Object.keys(files) }
    await consumer.write(`${folder}/tsconfig.json`, JSON.stringify(config))
    const { code, stdout } = await consumer.run(process.execPath, [...tsc(), '-p', folder])
    expect(stdout).toBe('')
    expect(code).toBe(0)
  })
})

it('the package needs no types of packages that it does not depend on', async () => {
  const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as {
    dependencies: Record<string, string>
    peerDependencies: Record<string, string>
  }
  const declared = new Set(Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }))
  const imported = new Set<string>()
  const seen = new Set<string>()
  function visit(path: string): void {
    if (seen.has(path)) return
    seen.add(path)
    for (const [, to = ''] of readFileSync(path, 'utf8').matchAll(/(?:from|import\()\s*['"]([^'"]+)['"]/g)) {
      if (to.startsWith('.')) visit(resolve(path, '..', to.replace(/\.js$/, '.d.ts')))
      else imported.add(to.startsWith('node:') ? '@types/node' : (/^(@[^/]+\/)?[^/]+/.exec(to)?.[0] ?? to))
    }
  }
  visit(resolve('dist/src/index.d.ts'))
  visit(resolve('dist/src/client/index.d.ts'))
  visit(resolve('dist/src/client/react/index.d.ts'))
  expect(seen.size).toBeGreaterThan(10)
  expect([...imported].filter(name => !declared.has(name))).toEqual([])
})
