import { type ChildProcess, spawn } from 'node:child_process'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, inject, it } from 'vitest'
import {
  identifyProcess,
  isAlive,
  type ProcessIdentity,
} from '../../src/database/embedded/process-identity.js'
import { payloadOf, TRANSPORTS } from '../support/clients.js'
import { postmasterPid } from '../support/postgres.js'
import { waitUntil } from '../support/wait.js'

const CLI = resolve(import.meta.dirname, '../../dist/src/cli.js')

/** A command under way, and what it has printed. */
interface Running {
  readonly child: ChildProcess
  readonly out: () => string
  readonly err: () => string
  readonly exit: Promise<number | null>
}

let directory: string
const running: Running[] = []

beforeAll(async () => {
  directory = await mkdtemp(join(inject('postgresRoot'), 'serve-'))
  await chmod(directory, 0o755) // as root, Postgres runs as another user, who must get there
})
afterEach(async () => {
  for (const { child, exit } of running.splice(0)) {
    child.kill('SIGTERM')
    await exit
  }
})
afterAll(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }))

function run(...args: string[]): Running {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(LISTENQL|ES|PG)|^(DATABASE_URL|PORT)$/.test(name)),
  )
  const child = spawn(process.execPath, [CLI, ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let out = ''
  let err = ''
  child.stdout?.on('data', chunk => {
    out += chunk
  })
  child.stderr?.on('data', chunk => {
    err += chunk
  })
  const exit = new Promise<number | null>(done => child.once('exit', code => done(code)))
  const command = { child, out: () => out, err: () => err, exit }
  running.push(command)
  return command
}

/** Starts the server, and resolves with its address once it has said where to go. */
async function serve(): Promise<Running & { url: string }> {
  const server = run('serve', '--port', '0', '--data-dir', directory)
  const url = await waitUntil(
    () => /Page +(http:\S+?)\/\n/.exec(server.out())?.[1],
    `the welcome in ${server.err()}`,
    60_000,
  )
  return { ...server, url }
}

/** The Postgres that runs in the directory; its number alone may be a zombie's, or soon another's. */
async function postgres(): Promise<ProcessIdentity> {
  const pid = await postmasterPid(join(directory, 'data'))
  const identity = pid === undefined ? undefined : await identifyProcess(pid)
  if (!identity) throw new Error('no Postgres runs')
  return identity
}

async function sql(statement: string): Promise<string> {
  const command = run('sql', statement, '--data-dir', directory)
  expect(await command.exit).toBe(0)
  return command.out()
}

it('serves the demo: the table, an event made by sql, heard by tail and by every transport; SIGTERM leaves nothing running', async () => {
  const server = await serve()
  expect(server.out()).toMatch(/curl -N -G http:/)
  expect(server.out()).toContain(`${server.url}/graphql`)
  const tail = run('tail', 'people', '--url', server.url)
  await waitUntil(() => tail.err().includes('listening to people'), 'tail to listen')
  const subscriptions = await Promise.all(
    Object.values(TRANSPORTS).map(subscribe => subscribe(server.url, 'people')),
  )

  expect(await sql(`INSERT INTO people (name, age, height) VALUES ('Paul', 51, 1.9)`)).toBe('INSERT 0 1\n')
  for (const { results } of subscriptions) {
    expect(JSON.parse(String(payloadOf(await results.next())))).toMatchObject({
      name: 'Paul',
      dml_action: 'INSERT',
    })
  }
  await waitUntil(() => tail.out().includes('"name": "Paul"'), 'tail to print the event')

  const database = await postgres()
  expect(await isAlive(database)).toBe(true)
  server.child.kill('SIGTERM')
  expect(await server.exit).toBe(0)
  expect(await isAlive(database)).toBe(false)
  for (const subscription of subscriptions) await subscription.close()
})

it('takes over what a killed server has left, with the data, and a client comes back by itself', async () => {
  const killed = await serve()
  const database = await postgres()
  killed.child.kill('SIGKILL')
  await killed.exit
  expect(await isAlive(database)).toBe(true)
  const server = await serve()
  expect(await postgres()).toEqual(database)
  expect(server.err()).toContain('Took over the Postgres')
  expect(await sql('select name from people')).toContain('Paul')
  server.child.kill('SIGINT')
  expect(await server.exit).toBe(0)
  expect(await isAlive(database)).toBe(false)
})

it('ends at once on a second signal', async () => {
  const server = await serve()
  const database = await postgres()
  server.child.kill('SIGTERM')
  server.child.kill('SIGINT')
  expect([0, 130]).toContain(await server.exit) // it may have been done before the second came
  const next = await serve() // whatever was left is taken over, and stopped with it
  next.child.kill('SIGTERM')
  await next.exit
  expect(await isAlive(database)).toBe(false)
})

it('says what is in the way when the port is taken', async () => {
  const server = await serve()
  const second = run('serve', '--port', new URL(server.url).port, '--data-dir', directory)
  expect(await second.exit).toBe(1)
  expect(second.err()).toMatch(/port \d+ on localhost is in use\n/)
  expect((await fetch(`${server.url}/readyz`)).status).toBe(200) // and leaves the first one's Postgres alone
})
