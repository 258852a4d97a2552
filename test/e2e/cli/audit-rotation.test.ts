import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { TRANSPORTS } from '../../support/clients.js'
import { listeningUrl } from '../../support/listening-url.js'
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js'
import { CLI, createCommands } from '../../support/running.js'
import { waitUntil } from '../../support/wait.js'

const commands = createCommands()
let database: TestDatabase
let folder: string
beforeEach(async () => {
  database = await createTestDatabase()
  folder = mkdtempSync(join(tmpdir(), 'listenql-rotation-'))
})
afterEach(async () => {
  await commands.endAll()
  await database?.close()
  rmSync(folder, { recursive: true })
})

/** Starts a server without a terminal. */
async function serve(auditLog: string) {
  const options = [
    '--host',
    'localhost',
    '--port',
    '0',
    '--database-url',
    database.url,
    '--audit-log',
    auditLog,
  ]
  const server = commands.spawn(process.execPath, [CLI, 'serve', ...options], { detached: true })
  const url = await waitUntil(() => listeningUrl(server.err()), 'the server to listen', 60_000)
  return { ...server, url }
}

const topics = (path: string) =>
  readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map(line => {
      const { event, topic } = JSON.parse(line)
      return `${event} ${topic}`
    })

it('SIGHUP opens the renamed file anew, and each line is in one of the two files', async () => {
  const file = join(folder, 'audit.jsonl')
  const former = join(folder, 'audit.jsonl.1')
  const server = await serve(file)
  const before = await TRANSPORTS['SSE POST'](server.url, 'before')
  await waitUntil(() => topics(file)[0], 'the first line')
  renameSync(file, former)
  const still = await TRANSPORTS['graphql-ws'](server.url, 'still')
  await waitUntil(() => topics(former)[1], 'a line in the renamed file')
  server.child.kill('SIGHUP')
  await waitUntil(() => server.err().includes('Reloaded'), 'the server to have opened the file')
  await before.close()
  await waitUntil(() => topicsIfAny(file)[0], 'a line in the new file')
  await still.close()
  server.child.kill('SIGTERM')
  expect(await server.end).toBe(0)
  expect(topics(former)).toEqual(['subscription.started before', 'subscription.started still'])
  expect(topics(file)).toEqual(['subscription.ended before', 'subscription.ended still'])
})

function topicsIfAny(path: string): string[] {
  try {
    return topics(path)
  } catch {
    return []
  }
}

it('SIGHUP leaves an audit log on standard output as it is', async () => {
  const server = await serve('-')
  const stream = await TRANSPORTS['SSE POST'](server.url, 'printed')
  await waitUntil(() => server.out().includes('subscription.started'), 'the line')
  server.child.kill('SIGHUP')
  await waitUntil(() => server.err().includes('Reloaded'), 'the server to reload')
  await stream.close()
  await waitUntil(() => server.out().includes('subscription.ended'), 'the next line')
  server.child.kill('SIGTERM')
  expect(await server.end).toBe(0)
})
