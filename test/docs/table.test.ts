import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { readText } from '../support/snippets.js'
import { waitUntil } from '../support/wait.js'
import { runModule, runShell } from './run.js'
import { createWorld, type World } from './world.js'

// Runs the lines to copy in README's table "Every way to listen", each in the program where a reader would put it.

let world: World
beforeAll(async () => {
  world = await createWorld()
}, 120_000)
afterEach(() => world.endAll())
afterAll(() => world.close())

const [, section = ''] = readText('README.md').split('## Every way to listen\n')
const rows = new Map(
  [...section.matchAll(/^\| (.+?) \| (.+) \|$/gm)]
    .map(([, client = '', line = '']) => [client.replace(/\[(.+?)\]\(.*?\)/, '$1'), line] as const)
    .filter(([client]) => !/^(client|---)/.test(client)),
)
const codeOf = (client: string) => /`(.+?)`/.exec(rows.get(client) ?? '')?.[1] as string

const CHANNEL = `'subscription { channel(name: "people") { payload } }'`
const APOLLO = `import { ApolloClient, gql, HttpLink, InMemoryCache } from '@apollo/client'
  import { GraphQLWsLink } from '@apollo/client/link/subscriptions'
  import { createClient } from 'graphql-ws'
  const show = link => new ApolloClient({ link, cache: new InMemoryCache() })
    .subscribe({ query: gql\`\${${CHANNEL}}\` }).subscribe(({ data }) => console.log(data.channel.payload))\n`
const SINK = `{ next: ({ data }) => console.log(data.channel.payload), error: console.error, complete() {} }`

/** The program around the line. */
const PROGRAMS: Readonly<Record<string, (code: string) => string>> = {
  'graphql-ws': code => `import { createClient } from 'graphql-ws'
    ${code}.subscribe({ query: ${CHANNEL} }, ${SINK})`,
  'Apollo Client, WebSocket': code => `${APOLLO} show(${code})`,
  'Apollo Client, HTTP': code => `${APOLLO} show(${code})`,
  'urql, SSE': code => `import { Client, fetchExchange } from '@urql/core'
    ${code.replace('{', '{ preferGetMethod: false,')}.subscription(${CHANNEL}, {}).subscribe(({ data }) => console.log(data.channel.payload))`,
  'urql, WebSocket': code => `import { Client, subscriptionExchange } from '@urql/core'
    import { createClient } from 'graphql-ws'
    const ws = createClient({ url: 'ws://localhost:7700/graphql' })
    const exchange = ${code.replace('…', '({ query, variables }) => ({ subscribe: sink => ({ unsubscribe: ws.subscribe({ query, variables }, sink) }) })')}
    new Client({ url: 'http://localhost:7700/graphql', exchanges: [exchange], preferGetMethod: false })
      .subscription(${CHANNEL}, {}).subscribe(({ data }) => console.log(data.channel.payload))`,
  'graphql-sse': code => `import { createClient } from 'graphql-sse'
    ${code}.subscribe({ query: ${CHANNEL} }, ${SINK})`,
  'browser, no library': code => `(${code}).addEventListener('next', event => console.log(event.data))`,
  'raw WebSocket': code => `(${code}).addEventListener('message', event => console.log(event.data))`,
}

it.each(Object.keys(PROGRAMS))('%s', async client => {
  await runModule((PROGRAMS[client] as (code: string) => string)(codeOf(client)), world)
})

it('curl, SSE', () => runShell(codeOf('curl, SSE'), world, { DATABASE_URL: '' }))

it('terminal', async () => {
  const [server, port] = [world.url, new URL(world.url).port]
  // `tail` looks for the server where the configuration in this folder would start it.
  await writeFile(join(world.folder, 'listenql.toml'), `HttpPort = ${port}\n`)
  const tail = world.spawn('npx', codeOf('terminal').split(' ').slice(1), { ...world.env(), PORT: port })
  await waitUntil(() => tail.err().includes(`listening to people at ${server}`), `tail, ${tail.err()}`)
  await world.makeEvents(() => tail.out().includes('Event'))
})

it.each(['browser, page', 'browser, GraphiQL'])('%s', async client => {
  for (const [address] of (rows.get(client) ?? '').matchAll(/http:\/\/\S+?(?=[ ,]|$)/g)) {
    const response = await fetch(world.here(address), { headers: { accept: 'text/html' } })
    expect([address, response.status, response.headers.get('content-type')]).toEqual([
      address,
      200,
      expect.stringContaining('text/html'),
    ])
  }
})

it('has no line that these tests do not run', () => {
  // test/docs/snippets.test.ts bundles the whole screen of docs/clients.md, and test/e2e/browser runs it.
  const elsewhere = ['React']
  const tried = [
    ...Object.keys(PROGRAMS),
    ...elsewhere,
    ...['curl, SSE', 'terminal', 'browser, page', 'browser, GraphiQL'],
  ]
  expect([...rows.keys()].sort()).toEqual(tried.sort())
})
