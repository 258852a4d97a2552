import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'vitest'
import { freePort } from '../../src/embedded/free-port.js'
import { overSse } from '../support/clients.js'
import { EXAMPLES } from '../support/example.js'
import { listeningUrl } from '../support/listening-url.js'
import { bundleApp } from '../support/react-app.js'
import { CLI } from '../support/running.js'
import { withTables } from '../support/screens.js'
import { type Snippet, snippetsOf } from '../support/snippets.js'
import { waitUntil } from '../support/wait.js'
import { checkToml, checkTypes, runModule, runShell } from './run.js'
import { missingLines } from './shape.js'
import type { World } from './world.js'

/** How to treat a snippet that the runner of its language cannot run. */
export interface Plan {
  readonly file: string
  /** A part of the snippet's text that no other snippet of the file contains. */
  readonly has: string
  /** Runs or checks the snippet; throws if it does not work. */
  readonly run?: (snippet: Snippet, world: World) => Promise<unknown>
  /** Instead of `run`: why the snippet is not run here, and what runs or checks it. */
  readonly why?: string
}

const demo = { DATABASE_URL: '' }

export const PLANS: readonly Plan[] = [
  {
    file: 'README.md',
    has: 'npm ci && npm start',
    why: 'every test run begins like this; the banner below is compared',
  },
  { file: 'README.md', has: 'npm ci && npm test', why: 'this is that test run' },
  { file: 'README.md', has: 'Ctrl-C stops it.', run: compareBanner },
  { file: 'README.md', has: 'UPDATE people SET age', run: ({ text }, world) => runShell(text, world, demo) },
  { file: 'README.md', has: 'event: next', run: compareEvent },

  {
    file: 'docs/graphql.md',
    has: 'create table customers',
    run: ({ text }, world) => runShell(text, world, demo),
  },
  ...['query Open', 'query PerState'].map(has => ({
    file: 'docs/graphql.md',
    has,
    // The schema follows the tables of the snippet before within a second.
    run: ({ text }: Snippet, world: World) =>
      waitUntil(async () => {
        const url = `${world.url}/graphql?${new URLSearchParams({ query: text })}`
        const { data, errors } = (await (await fetch(url)).json()) as { data?: unknown; errors?: unknown }
        return errors === undefined && JSON.stringify(data).includes('Bob') !== has.includes('PerState')
      }, `${has} to be answered`),
  })),

  {
    file: 'docs/deploy.md',
    has: 'DbConnection',
    // In a folder of its own: the commands of later snippets would read the file, and ask a database that there is not.
    async run({ text }, world) {
      const folder = join(world.folder, 'deploy')
      await mkdir(folder)
      await checkToml(text, { ...world, folder })
    },
  },

  { file: 'docs/clients.md', has: 'npm install listenql\n', why: 'npm run consumers' },
  { file: 'docs/clients.md', has: 'npm install listenql @tanstack/db', why: 'npm run consumers' },
  { file: 'docs/clients.md', has: 'awaitTransaction(written.transaction)', run: runOptimisticWrite },
  { file: 'docs/clients.md', has: 'npm install listenql react react-dom', why: 'npm run consumers' },
  // test/e2e/browser/live-apps.test.ts runs these apps in Chromium, where they are live and, with `useQuery`, where they are not.
  ...[
    'people(limit: 10) { rows { pk name } } }',
    'useUserClient(user)',
    'ListenqlProvider, useListenqlStatus, useLiveRows',
    'ApolloProvider, useSubscription',
    'Provider, subscriptionExchange, useSubscription',
  ].map(has => ({
    file: 'docs/clients.md',
    has,
    run: ({ text }: Snippet) => bundleApp(text),
  })),
  // test/e2e/browser/screens.test.ts runs these in Chromium.
  ...[
    'useLiveQuery',
    'liveRows(',
    "useSubscription } from '@apollo",
    'createLiveCacheLink({',
    "useSubscription } from 'urql'",
    'createLiveQueryCollection(',
    "from 'graphql-sse'",
    'new EventSource',
    'TextDecoderStream',
  ].map(has => ({
    file: 'docs/screens.md',
    has,
    run: ({ text }: Snippet) => bundleApp(withTables(text)),
  })),
  {
    file: 'docs/clients.md',
    has: 'getIntrospectionQuery()',
    run: ({ text }, world) => runModule(`${text}\nconsole.log('Event')`, world),
  },
  {
    file: 'docs/clients.md',
    has: 'introspectionFromSchema(schema)',
    async run({ text }, world) {
      await runShell('npx listenql schema > schema.graphql', world, demo)
      await runModule(`${text}\nconsole.log('Event')`, world)
    },
  },
  {
    file: 'docs/clients.md',
    has: 'npx listenql schema > schema.graphql\n',
    run: ({ text }, world) => runShell(text, world, demo),
  },
  { file: 'docs/clients.md', has: 'createUserClient', run: runUserClient },
  ...['createLiveCacheLink({ client: createClient', 'liveCacheExchange({'].map(has => ({
    file: 'docs/clients.md',
    has,
    // The snippet imports what the snippet above writes, and runs in a browser.
    async run({ text }: Snippet, world: World) {
      const tables = snippetsOf('docs/clients.md').find(one => one.text.includes('getIntrospectionQuery()'))
      await runModule(`${tables?.text}\nconsole.log('Event')`, world)
      await runModule(text, world, { before: 'globalThis.WorkerGlobalScope ??= class {}\n' })
    },
  })),
  {
    file: 'docs/clients.md',
    has: "import { WebSocket } from 'ws'",
    // This snippet belongs in front of another one.
    run: ({ text }, world) =>
      runModule(
        `${text}\nconsole.log(new WebSocket('ws://localhost:7700/listen/people').url, 'Event'); process.exit()`,
        world,
      ),
  },
  { file: 'docs/clients.md', has: 'npm install --save-dev listenql', why: 'npm run consumers' },
  {
    file: 'docs/clients.md',
    has: 'npx listenql codegen',
    run: ({ text }, world) => runShell(text, world, demo),
  },
  { file: 'docs/clients.md', has: 'person.agee', run: compileTyped },
  {
    file: 'docs/clients.md',
    has: 'EventSourcePolyfill',
    run: ({ text }, world) => runModule(text, world, { before: "const token = 'x'\n" }),
  },
  {
    file: 'docs/clients.md',
    has: "'last-event-id: ",
    run: async ({ text }, world) => {
      const position = await currentPosition(world)
      return runShell(text.replace(/last-event-id: [\w-]+/, `last-event-id: ${position}`), world, demo)
    },
  },
  {
    file: 'docs/clients.md',
    has: 'touch last',
    run: async ({ text }, world) => {
      await runShell(text, world, demo)
      expect(await readFile(join(world.folder, 'last'), 'utf8')).toMatch(/^[\w-]{8,}\n$/)
    },
  },

  { file: 'docs/library.md', has: 'npm install listenql', why: 'npm run consumers' },
  {
    file: 'docs/library.md',
    has: "channels: ['people', 'chat.*']",
    run: ({ text }, world) =>
      runModule(text.replace('port: 7700', 'port: 0'), world, { expected: 'http://localhost:' }),
  },
  {
    file: 'docs/library.md',
    has: 'async authenticate(',
    run: ({ text }, world) =>
      runModule(
        `${text.replace('roleChannels', "port: 0, logLevel: 'silent', roleChannels")}
        console.log(server.url)`,
        world,
        {
          before: `const findSession = async () => ({ userId: '1', startedAt: new Date(), endsAt: new Date(Date.now() + 60_000) })
          const readCookie = () => 'x'\n`,
          expected: 'http://localhost:',
        },
      ),
  },
  { file: 'docs/library.md', has: 'createServer(createYoga({ schema })).listen(4000)', run: runYoga },
  {
    file: 'docs/library.md',
    has: 'createPubSub<{ said:',
    run: ({ text }, world) =>
      checkTypes(
        text,
        world,
        `import { createPubSub } from 'graphql-yoga'\nimport { createPostgresEventTarget } from 'listenql'\n`,
      ),
  },
  {
    file: 'docs/library.md',
    has: "publish('said', 'kitchen', 'tea is ready')",
    run: ({ text }, world) => runModule(text, world, { expected: 'tea is ready' }),
  },

  {
    file: 'docs/operations.md',
    has: 'curl -i localhost:7700/readyz',
    run: async ({ text }, world) => expect(await runShell(text, world)).toContain('HTTP/1.1 200'),
  },
  {
    file: 'docs/operations.md',
    has: 'curl -s localhost:7700/metrics',
    run: async ({ text }, world) => expect(await runShell(text, world)).toContain('listenql_build_info{'),
  },
  { file: 'docs/operations.md', has: 'ExecStart=', why: 'lines of other programs: systemd and docker' },
  {
    file: 'docs/operations.md',
    has: '--tls-cert server.crt',
    run: async ({ text }, world) => {
      await makeCertificate(world)
      return runShell(text, world)
    },
  },
  {
    file: 'docs/operations.md',
    has: 'schema listenql is installed',
    run: ({ text }, world) => compareOutput(text, world, 'npx listenql watch people chat.messages'),
  },
  { file: 'docs/operations.md', has: '-- t: waiting for pid', run: compareWaiting },
  {
    file: 'docs/operations.md',
    has: '--tables cannot be followed completely',
    run: compareDeclared,
  },
  {
    file: 'docs/operations.md',
    has: 'cannot be read beyond batch',
    why: 'it needs a damaged log: test/log/careful-read.test.ts',
  },
  {
    file: 'docs/operations.md',
    has: 'listenql.sql      # needs no database',
    run: ({ text }, world) => {
      const { hostname, port, username, password } = new URL(world.ownUrl)
      const env = { PGHOST: hostname, PGPORT: port, PGUSER: username, PGPASSWORD: password }
      return runShell(text, world, env)
    },
  },
  { file: 'docs/operations.md', has: '8.1 MB were cleared', run: compareRotation },
  {
    file: 'docs/operations.md',
    has: 'rotate --retention 6h',
    run: ({ text }, world) => runShell(`npx listenql install\n${text}`, world),
  },
  {
    file: 'docs/operations.md',
    has: 'Doorbell  armed',
    run: ({ text }, world) => compareOutput(text.replace("'listenql' @", "'mydb' @"), world, STATUS),
  },

  ...['--jwt-secret-file secret', 'create policy own_tasks', 'new SignJWT', 'node token.mjs ada'].map(
    has => ({
      file: 'docs/security.md',
      has,
      run: (_snippet: Snippet, world: World) => (twoViewers ??= runTwoViewers(world)), // one walk runs them all
    }),
  ),

  {
    file: 'examples/yoga/README.md',
    has: 'node examples/yoga/server.js &',
    run: (_snippet, world) => runYogaExample(world),
  },
  {
    file: 'examples/yoga/README.md',
    has: 'curl -N -G localhost:4000',
    why: 'run with the first one of the file',
  },
  { file: 'examples/yoga/README.md', has: 'curl localhost:4001', why: 'run with the first one of the file' },
  ...EXAMPLES.map(name => ({
    file: `examples/${name}/README.md`,
    has: 'npm install\nnpm start\n',
    why: 'npm run consumers',
  })),
]

let twoViewers: Promise<void> | undefined

/** The whole section, in an empty folder with an embedded Postgres of its own, as it stands. */
async function runTwoViewers(world: World): Promise<void> {
  const folder = join(world.folder, 'two-viewers')
  await mkdir(folder)
  const env = world.env()
  const section = snippetsOf('docs/security.md')
  const part = (has: string) => section.find(({ text }) => text.includes(has))?.text ?? ''
  const inFolder = (script: string) => world.spawn('/bin/sh', ['-e', '-c', `cd two-viewers; ${script}`], env)
  await writeFile(join(folder, 'token.mjs'), part('new SignJWT'))

  const server = inFolder(part('--jwt-secret-file secret'))
  const url = await waitUntil(() => listeningUrl(server.err()), `the server to listen: ${server.err()}`)
  const setUp = inFolder(part('create policy own_tasks'))
  expect(await setUp.end, setUp.err()).toBe(0)
  // The server looks for newly watched tables every second.
  await waitUntil(async () => {
    const curl = inFolder(part('node token.mjs ada').replaceAll('localhost:7700', new URL(url).host))
    expect(await curl.end, curl.err()).toBe(0)
    if (curl.out().includes('GRAPHQL_VALIDATION_FAILED')) return false
    const rows = (titles: string[]) =>
      JSON.stringify({ data: { tasks: { rows: titles.map(title => ({ title })) } } })
    expect(curl.out().replaceAll('\n', '')).toBe(rows(['Write', 'Read']) + rows(['Sleep']))
    return true
  }, 'both viewers to see their rows')
  await world.endAll()
}

/** The snippet exports a function that is called with each user's token; the demo ignores the token. */
async function runUserClient({ text }: Snippet, world: World): Promise<void> {
  const tables = snippetsOf('docs/clients.md').find(one => one.text.includes('getIntrospectionQuery()'))
  await runModule(`${tables?.text}\nconsole.log('Event')`, world)
  const query = 'query People { people(orderBy: [{ pk: DESC }], limit: 3) { cursor rows { pk name } } }'
  const use = `let asked = 0
    const { gql } = await import('@apollo/client')
    createUserClient(async () => String(++asked))
      .watchQuery({ query: gql\`${query}\` })
      .subscribe(({ data }) => asked > 1 && console.log(data?.people.rows))`
  await runModule(`${text}\n${use}`, world, { before: 'globalThis.WorkerGlobalScope ??= class {}\n' })
}

/** Runs `status` while a server that has read an event is asleep. */
const STATUS = `npx listenql watch people chat.messages > out
  npx listenql --port 0 2> log & server=$!
  until grep -q Listening log; do sleep 0.1; done
  npx listenql sql "insert into people (name) values ('Ada')" > out
  n=0
  until npx listenql status > out && grep -q 'Doorbell  armed' out && grep -q 'oldest event' out || [ $n -gt 50 ]; do n=$((n + 1)); sleep 0.1; done
  cat out
  kill $server; wait $server`

/** The snippet compiles in an application that `listenql codegen` has been run in, and a typo in it does not. */
async function compileTyped({ text }: Snippet, world: World): Promise<void> {
  const source = join(world.folder, 'src')
  await mkdir(source, { recursive: true })
  await writeFile(join(source, 'people.ts'), text)
  await runShell('npx listenql codegen --schema http://localhost:7700/graphql', world)
  const compile = async (snippet: string) => {
    await writeFile(join(source, 'people.ts'), snippet)
    const flags =
      '--noEmit --strict --skipLibCheck --module esnext --moduleResolution bundler --target es2023'
    const tsc = world.spawn(process.execPath, [
      resolve('node_modules/typescript/bin/tsc'),
      ...`${flags} --lib es2023,dom src/people.ts --ignoreConfig`.split(' '),
    ])
    await tsc.end
    return tsc.out()
  }
  expect(await compile(text)).toBe('')
  expect(await compile(text.replace('person.age >=', 'person.agee >='))).toContain("'agee' does not exist")
  expect(await compile(text.replace('{ limit }', '{ limit: `five` }'))).toContain('src/people.ts')
}

async function compareOutput(text: string, world: World, script: string): Promise<void> {
  const printed = await runShell(script, world)
  expect(missingLines(text, printed), `not printed by ${script}:\n${printed}`).toEqual([])
}

async function compareBanner({ text }: Snippet, world: World): Promise<void> {
  const place = `--data-dir ${join(world.folder, '.listenql')}`
  const terminal = world.spawn('script', [
    '--quiet',
    '--command',
    `exec ${process.execPath} ${CLI} --port 0 ${place}`,
    '/dev/null',
  ])
  const printed = await waitUntil(
    () => (terminal.out().includes('Ctrl-C stops it') ? terminal.out().replaceAll('\r', '') : undefined),
    'the banner',
    60_000,
  )
  await world.endAll()
  // The only difference: `npm start` uses the default folder.
  expect(missingLines(text, printed.replace(/ --data-dir '.*'/, '')), printed).toEqual([])
}

/** Compares what `curl`, as the banner prints it, shows of a live query: of no rows, then of the INSERT in README. */
async function compareEvent({ text }: Snippet, world: World): Promise<void> {
  const [banner] = snippetsOf('README.md').filter(one => one.text.includes('Ctrl-C stops it'))
  const line = /^ +Rows: +(curl .*)$/m.exec(banner?.text ?? '')?.[1] as string
  await world.sql('delete from people')
  const curl = world.spawn('/bin/sh', ['-c', `exec ${world.here(line)}`])
  await waitUntil(() => curl.out().includes('"rows":[]'), 'the first result')
  await world.sql(`INSERT INTO people (name, age, height) VALUES ('Paul', 51, 1.9)`)
  await waitUntil(
    () => missingLines(text, curl.out()).length === 0,
    () => `the result in\n${curl.out()}`,
  )
}

async function compareWaiting({ text }: Snippet, world: World): Promise<void> {
  await world.renewOwn()
  await world.sql('create table t (id int); create role app login; grant all on t to app', 'own')
  const url = Object.assign(new URL(world.ownUrl), { username: 'app', password: '' }).href
  await world.sql(`alter role app password 'app'`)
  const holder = world.spawn('/bin/sh', [
    '-c',
    `{ echo 'begin; insert into t values (1);'; sleep 60; } | psql -q '${url.replace('app@', 'app:app@')}'`,
  ])
  await waitUntil(
    async () =>
      (
        await world.sql(
          `select 1 from pg_stat_activity where usename = 'app' and state = 'idle in transaction'`,
        )
      ).length > 0,
    `the transaction of psql, ${holder.err()}`,
  )
  const watch = world.spawn('npx', ['listenql', 'watch', 't'], world.env({ DATABASE_URL: world.ownUrl }))
  await waitUntil(() => watch.err().includes('waiting for pid'), 'watch to name the session')
  expect(missingLines(text, watch.err()), watch.err()).toEqual([])
  await world.endAll()
  await world.sql('drop owned by app; drop role app', 'own')
}

async function compareDeclared({ text }: Snippet, world: World): Promise<void> {
  await runShell('npx listenql install --grant-to live', world)
  const url = world.here('postgres://live:secret@host/mydb')
  const flags = ['--tables', 'chat.messages', '--log-format', 'text']
  const server = world.spawn('npx', ['listenql', ...flags], world.env({ DATABASE_URL: url }))
  await waitUntil(() => server.err().includes('--tables'), 'the warning')
  expect(server.err().replace('(postgres)', '(app)')).toContain(text.trim())
  await world.endAll()
}

async function compareRotation({ text }: Snippet, world: World): Promise<void> {
  const script = `npx listenql watch people
    npx listenql sql "insert into people (name) select repeat('x', 500) from generate_series(1, 5000)"
    npx listenql rotate --max-log-size 1MiB
    npx listenql sql "insert into people (name) select repeat('x', 500) from generate_series(1, 5000)"
    npx listenql rotate --max-log-size 1MiB`
  await compareOutput(text, world, script)
}

async function currentPosition(world: World): Promise<string> {
  const subscription = await overSse('POST')(world.url, 'subscription { peopleChanged { operation } }')
  const position = await waitUntil(() => subscription.position?.(), 'a position')
  await subscription.close()
  return position
}

async function makeCertificate(world: World): Promise<void> {
  const files = ['-keyout', 'server.key', '-out', 'server.crt']
  const args = [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-subj',
    '/CN=localhost',
    '-days',
    '2',
    ...files,
  ]
  await promisify(execFile)('openssl', args, { cwd: world.folder })
}

async function runYoga({ text }: Snippet, world: World): Promise<void> {
  await world.renewOwn()
  const port = await freePort()
  await writeFile(join(world.folder, 'yoga.mjs'), text.replace('4000', String(port)))
  const yoga = world.spawn(process.execPath, ['yoga.mjs'], world.env({ DATABASE_URL: world.ownUrl }))
  await sayAndHear(world, `http://localhost:${port}`, `http://localhost:${port}`)
  expect(yoga.err()).toBe('')
}

/** Runs the four snippets of the example, in order. */
async function runYogaExample(world: World): Promise<void> {
  await world.renewOwn()
  const [first, second] = [await freePort(), await freePort()]
  const here = (text: string) =>
    world.here(text).replaceAll('4000', String(first)).replaceAll('4001', String(second))
  const [start, listen, say, sql] = snippetsOf('examples/yoga/README.md').map(({ text }) => here(text)) as [
    string,
    string,
    string,
    string,
  ]
  const servers = world.spawn('/bin/sh', ['-c', `cd ${process.cwd()}; ${start} wait`], world.env())
  await waitUntil(() => servers.out().split('/graphql').length === 3, `both servers, ${servers.err()}`)
  const listener = world.spawn('/bin/sh', ['-c', listen], world.env())
  await heard(world)
  const speaker = world.spawn('/bin/sh', ['-c', say], world.env())
  expect(await speaker.end, speaker.err()).toBe(0)
  await waitUntil(() => listener.out().split('tea is ready').length === 2, 'the tea')
  await world.sql(sql, 'own')
  await waitUntil(() => listener.out().split('tea is ready').length === 3, 'the tea, from SQL')
}

async function sayAndHear(world: World, listening: string, speaking: string): Promise<void> {
  await waitUntil(
    () =>
      fetch(`${listening}/graphql?query={hello}`).then(
        () => true,
        () => false,
      ),
    'the server',
  )
  const subscription = await overSse('POST')(listening, 'subscription { said(room: "kitchen") }')
  await heard(world)
  await fetch(`${speaking}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: 'mutation { say(room: "kitchen", text: "tea is ready") }' }),
  })
  expect(await subscription.results.next()).toEqual({ data: { said: 'tea is ready' } })
  await subscription.close()
}

/** Waits until the event target listens for the kitchen. */
const heard = (world: World) =>
  waitUntil(
    async () =>
      (
        await world.sql(
          `select 1 from pg_stat_activity where datname = 'mydb' and query = 'listen "said:kitchen"'`,
        )
      ).length > 0,
    'LISTEN',
  )

/** The API that the snippet calls inserts the row and returns the id of the transaction. */
async function runOptimisticWrite({ text }: Snippet, world: World): Promise<void> {
  const api = createServer(async (request, response) => {
    const { name, age } = JSON.parse(Buffer.concat(await request.toArray()).toString()) as Record<
      string,
      unknown
    >
    const [written] = await world.sql(
      `insert into people (name, age) values ('${name}', ${age}) returning pg_current_xact_id()::text as transaction`,
    )
    response.end(JSON.stringify(written))
  })
  await new Promise<void>(done => api.listen(0, '127.0.0.1', done))
  try {
    const url = `http://127.0.0.1:${(api.address() as AddressInfo).port}`
    const printed = await runModule(text.replace('/api/people', `${url}/api/people`), world, {
      expected: 'Grace',
    })
    expect(printed).toMatch(/pk: [1-9]/)
    expect(printed).not.toContain('pk: -1')
  } finally {
    api.close()
  }
}
