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

/** How to run the snippets of each language that have no plan. Each runner throws if the snippet does not work. */
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

/** Programs that a snippet needs and that this machine lacks. */
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
 * Runs a server until it listens, a stream until it shows an event, and anything else to its end.
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
  // Only at the end: the snippet itself stops a server that it started in the background.
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

/** A module that ends by itself must exit with code 0; any other must print something about the events. */
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

/** Globals of browsers that Node 20 lacks. */
const BROWSER = `
import { EventSource as NodeEventSource } from ${JSON.stringify(resolve('test/docs/event-source.mjs'))}
import { WebSocket as NodeWebSocket } from 'ws'
globalThis.WebSocket ??= NodeWebSocket
globalThis.EventSource ??= NodeEventSource;`

function hasEnded({ child }: Running): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

/** Compiles the snippet in strict mode, as in a separate project. */
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
 * Checks a document that can be pasted as a whole into GraphiQL: if it has several operations, each has a name. Queries and mutations
 * must return data, subscriptions an event. The cursor that a query returns becomes the variable `$after`.
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
      // As a separate document, because the client of these tests sends no operation name.
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

/** Runs SQL against the reader's own database, where the log is installed and `people` watched. The next snippet gets a new database. */
export async function runSql(text: string, world: World): Promise<void> {
  await world.renewOwn()
  const installed = await runCli(['watch', 'people'], { env: { DATABASE_URL: world.ownUrl } })
  expect(installed.stderr).toBe('')
  const client = new pg.Client({ connectionString: world.ownUrl })
  await client.connect()
  try {
    await client.query(text)
    await client.query(`insert into people (name, age) values ('Ada', 36)`) // fires a trigger that the snippet may have created
  } finally {
    await client.end()
  }
}

/** Checks that a configuration file is accepted without an error or a warning. */
/** Has the command `config` read the file. */
export async function checkToml(text: string, world: World): Promise<void> {
  const file = join(world.folder, 'listenql.toml')
  await writeFile(file, text)
  expect(await runCli(['config', '--config', file])).toMatchObject({ code: 0, stderr: '' })
}

async function checkHaproxy(text: string, world: World): Promise<void> {
  const file = join(world.folder, 'haproxy.cfg')
  await writeFile(file, text)
  const haproxy = world.spawn('/bin/sh', ['-c', `PATH=$PATH:/usr/sbin exec haproxy -c -f ${file}`])
  await haproxy.end
  // haproxy would not start without a listener, but that is not a mistake in the documented lines.
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
  // The check ignores whether nginx can bind the port.
  await nginx.end
  expect(nginx.err()).toContain('syntax is ok')
  expect(nginx.err()).not.toMatch(/\[warn\]/)
}
