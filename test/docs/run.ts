import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { getOperationAST, type OperationDefinitionNode, parse, print } from 'graphql'
import pg from 'pg'
import { expect } from 'vitest'
import { runCli } from '../support/cli.js'
import { overSse } from '../support/clients.js'
import type { Running } from '../support/running.js'
import { waitUntil } from '../support/wait.js'
import type { World } from './world.js'

/** How snippets of each language are run where nothing else is planned for them. Each throws if the snippet does not work. */
export const RUNNERS: Readonly<Record<string, (text: string, world: World) => Promise<unknown>>> = {
  sh: runShell,
  js: (text, world) => runModule(text, world),
  ts: (text, world) => checkTypes(text, world),
  graphql: runGraphql,
  sql: runSql,
  toml: checkToml,
  json: async text => void JSON.parse(text),
  haproxy: checkHaproxy,
  nginx: checkNginx,
}

/** Programs that a snippet needs and a machine may lack. */
export function missingPrograms(language: string, text: string): string[] {
  const wanted = ['haproxy', 'nginx'].includes(language)
    ? [language]
    : language === 'sh'
      ? ['curl', 'jq', 'psql']
      : []
  return wanted.filter(
    name => (language === name || new RegExp(`\\b${name}\\b`).test(text)) && !isThere(name),
  )
}

function isThere(program: string): boolean {
  try {
    execFileSync('/bin/sh', ['-c', `command -v ${program} || command -v /usr/sbin/${program}`])
    return true
  } catch {
    return false
  }
}

/**
 * A server runs until it listens, a stream until it shows an event, and anything else to its end.
 * @returns what was printed
 */
export async function runShell(text: string, world: World, env: NodeJS.ProcessEnv = {}): Promise<string> {
  await world.renewOwn()
  const script = world.here(text)
  const shell = world.spawn(
    '/bin/sh',
    ['-e', '-c', script],
    world.env({ ...(/psql|DATABASE_URL=/.test(text) ? {} : { DATABASE_URL: world.ownUrl }), ...env }),
  )
  // Only at the end: one that is started in the background is stopped by the snippet itself.
  const isServer = /npx listenql( serve)?( --[^\n]*)?\s*$/.test(script)
  const isStream = /curl -s?N|listenql tail/.test(script)
  if (isServer) {
    await waitUntil(() => shell.err().includes('Listening on'), `the server of\n${script}\n${shell.err()}`)
  } else if (isStream) {
    await world.makeEvents(() => shell.out().includes('Event') || hasEnded(shell))
    expect(shell.out(), shell.err()).toContain('Event')
  } else {
    const code = await shell.end
    expect([code, shell.err()], `${script}\n${shell.out()}`).toEqual([0, expect.anything()])
  }
  await world.endAll()
  return shell.out() + shell.err()
}

/** A module that ends by itself must do so without a fault; any other must print something of the events that are made. */
export async function runModule(
  text: string,
  world: World,
  { before = '', expected = 'Event' }: { readonly before?: string; readonly expected?: string } = {},
): Promise<string> {
  await writeFile(join(world.folder, 'snippet.mjs'), `${BROWSER}\n${world.here(before + text)}`)
  const program = world.spawn(process.execPath, ['snippet.mjs'], world.env({ DATABASE_URL: world.ownUrl }))
  await world.makeEvents(() => program.out().includes(expected) || hasEnded(program))
  if (hasEnded(program)) expect(await program.end, program.err()).toBe(0)
  expect(program.out()).toContain(expected)
  const complaints = program
    .err()
    .split('\n')
    .filter(line => !line.includes('"level":"info"'))
  expect(complaints.join('\n')).toBe('')
  await world.endAll()
  return program.out()
}

/** What browsers have and Node 20 has not. */
const BROWSER = `
import { EventSource as NodeEventSource } from ${JSON.stringify(resolve('test/docs/event-source.mjs'))}
import { WebSocket as NodeWebSocket } from 'ws'
globalThis.WebSocket ??= NodeWebSocket
globalThis.EventSource ??= NodeEventSource;`

function hasEnded({ child }: Running): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

/** Compiles, strictly, as a project of its own would. */
export async function checkTypes(text: string, world: World, before = ''): Promise<void> {
  await writeFile(join(world.folder, 'snippet.ts'), before + text)
  const compilerOptions = {
    module: 'nodenext',
    target: 'es2022',
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: ['node'],
  }
  await writeFile(
    join(world.folder, 'tsconfig.json'),
    JSON.stringify({ compilerOptions, files: ['snippet.ts'] }),
  )
  const tsc = world.spawn(process.execPath, [resolve('node_modules/typescript/bin/tsc'), '-p', world.folder])
  expect([await tsc.end, tsc.out()]).toEqual([0, ''])
}

/**
 * A document that can be pasted whole into GraphiQL: where there are several operations, each has a name. Queries and mutations
 * bring data, subscriptions an event; a cursor that a query has brought goes to the variable `$after`.
 */
export async function runGraphql(text: string, world: World): Promise<void> {
  const document = parse(text)
  const operations = document.definitions.filter(
    (one): one is OperationDefinitionNode => one.kind === 'OperationDefinition',
  )
  if (operations.length > 1) for (const { name } of operations) expect(name, 'a name for each').toBeDefined()
  let after: string | undefined
  for (const { name } of operations) {
    const operation = getOperationAST(document, name?.value)
    if (!operation) throw new Error('no operation')
    const query = print(document)
    const body = { query, operationName: name?.value, variables: after === undefined ? {} : { after } }
    if (operation.operation === 'subscription') {
      // Alone, since the client of these tests names no operation.
      const changes = await overSse('POST')(world.url, print(operation), body.variables)
      let result: Record<string, unknown> | undefined
      void changes.results.next().then(first => {
        result = first
      })
      await world.makeEvents(() => result !== undefined)
      await changes.close()
      expect(result).not.toHaveProperty('errors')
    } else {
      const response = await fetch(`${world.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
      const result = (await response.json()) as { data?: Record<string, unknown>; errors?: unknown }
      expect(result).not.toHaveProperty('errors')
      for (const value of Object.values(result.data ?? {})) {
        after = (value as { cursor?: string } | null)?.cursor ?? after
      }
    }
  }
}

/** Against the reader's own database, where the log is installed and `people` watched; nothing of it stays. */
export async function runSql(text: string, world: World): Promise<void> {
  await world.renewOwn()
  const installed = await runCli(['watch', 'people'], { env: { DATABASE_URL: world.ownUrl } })
  expect(installed.stderr).toBe('')
  const client = new pg.Client({ connectionString: world.ownUrl })
  await client.connect()
  try {
    await client.query(text)
    await client.query(`insert into people (name, age) values ('Ada', 36)`) // what it has made may be a trigger
  } finally {
    await client.end()
  }
}

/** A configuration file: taken without an error or a warning. */
async function checkToml(text: string, world: World): Promise<void> {
  const file = join(world.folder, 'listenql.toml')
  await writeFile(file, text)
  expect(await runCli(['config', '--config', file])).toMatchObject({ code: 0, stderr: '' })
}

async function checkHaproxy(text: string, world: World): Promise<void> {
  const file = join(world.folder, 'haproxy.cfg')
  await writeFile(file, text)
  const haproxy = world.spawn('/bin/sh', ['-c', `PATH=$PATH:/usr/sbin exec haproxy -c -f ${file}`])
  await haproxy.end
  // Without a listener it would not start, which is no error of the lines that are there.
  expect(haproxy.out() + haproxy.err()).toMatch(/Configuration file (is valid|has no error)/)
  expect(haproxy.err()).not.toMatch(/ALERT|WARNING/)
}

async function checkNginx(text: string, world: World): Promise<void> {
  const file = join(world.folder, 'nginx.conf')
  await writeFile(
    file,
    `pid nginx.pid; error_log stderr; events {} http { access_log off; server { listen 127.0.0.1:1; ${text} } }`,
  )
  const nginx = world.spawn('/bin/sh', [
    '-c',
    `PATH=$PATH:/usr/sbin exec nginx -t -p ${world.folder} -c ${file}`,
  ])
  // To bind a port is no part of it.
  await nginx.end
  expect(nginx.err()).toContain('syntax is ok')
  expect(nginx.err()).not.toMatch(/\[warn\]/)
}
