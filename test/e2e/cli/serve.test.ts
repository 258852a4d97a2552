import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, inject, it } from 'vitest'
import { identifyProcess, isAlive, type ProcessIdentity } from '../../../src/embedded/process-identity.js'
import { payloadOf, TRANSPORTS } from '../../support/clients.js'
import { postmasterPid } from '../../support/postgres.js'
import { createCommands } from '../../support/running.js'
import { waitUntil } from '../../support/wait.js'

let directory: string
const commands = createCommands()
const { run } = commands

beforeAll(async () => {
  directory = await mkdtemp(join(inject('postgresRoot'), 'serve-'))
  await chmod(directory, 0o755) // as root, Postgres runs as another user, which needs access
})
afterEach(() => commands.endAll())
afterAll(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }))

const serve = () => commands.serve('--data-dir', directory)

/** Checks that the Postgres of the directory runs; a process with that pid may be a zombie, or soon another program. */
async function postgres(): Promise<ProcessIdentity> {
  const pid = await postmasterPid(join(directory, 'data'))
  const identity = pid === undefined ? undefined : await identifyProcess(pid)
  if (!identity) throw new Error('no Postgres runs')
  return identity
}

async function sql(statement: string): Promise<string> {
  const command = run('sql', statement, '--data-dir', directory)
  expect(await command.end).toBe(0)
  return command.out()
}

it('the server serves the demo: the table, and an event made by sql that tail and every transport receive; SIGTERM leaves nothing running', async () => {
  const server = await serve()
  expect(server.out()).toBe('') // no banner for a file or a process manager, and none in its JSON
  const said = server
    .err()
    .split('\n')
    .filter(line => line.includes('Listening on'))
    .map(line => JSON.parse(line))
  expect(said).toMatchObject([
    { level: 'info', url: server.url, database: expect.stringContaining('embedded PostgreSQL') },
  ])
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
  expect(await server.end).toBe(0)
  expect(await isAlive(database)).toBe(false)
  for (const subscription of subscriptions) await subscription.close()
})

it('the server takes over the Postgres of a killed server, with the data, and a client reconnects automatically', async () => {
  const killed = await serve()
  const database = await postgres()
  killed.child.kill('SIGKILL')
  await killed.end
  expect(await isAlive(database)).toBe(true)
  const server = await serve()
  expect(await postgres()).toEqual(database)
  expect(server.err()).toContain('Took over the Postgres')
  expect(await sql('select name from people')).toContain('Paul')
  server.child.kill('SIGINT')
  expect(await server.end).toBe(0)
  expect(await isAlive(database)).toBe(false)
})

it('the server says what is wrong when the port is in use', async () => {
  const server = await serve()
  const second = run('serve', '--port', new URL(server.url).port, '--data-dir', directory)
  expect(await second.end).toBe(1)
  expect(second.err()).toMatch(/port \d+ on localhost is in use\n/)
  expect((await fetch(`${server.url}/readyz`)).status).toBe(200) // and does not touch the Postgres of the first server
})
