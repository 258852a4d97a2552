import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { listeningUrl } from '../../support/listening-url.js'
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js'
import { post } from '../../support/raw.js'
import { CLI, createCommands } from '../../support/running.js'
import { waitUntil } from '../../support/wait.js'

const commands = createCommands()
let database: TestDatabase
let folder: string
let pipe: string
beforeEach(async () => {
  database = await createTestDatabase()
  folder = mkdtempSync(join(tmpdir(), 'listenql-pipe-'))
  pipe = join(folder, 'audit')
  execFileSync('mkfifo', [pipe])
})
afterEach(async () => {
  await commands.endAll()
  await database?.close()
  rmSync(folder, { recursive: true })
})

function serve() {
  const options = ['--host', 'localhost', '--port', '0', '--database-url', database.url, '--audit-log', pipe]
  return commands.spawn(process.execPath, [CLI, 'serve', ...options], { detached: true })
}

const refuse = (url: string) => post(url, { query: '{ channels }' }, { origin: 'http://evil.example' })

it('a server does not start with a named pipe that nothing reads, and says so', async () => {
  const server = serve()
  // Else a server that waits for a reader would ignore SIGTERM.
  const patience = setTimeout(() => server.child.kill('SIGKILL'), 15_000)
  expect(await server.end).toBe(2)
  clearTimeout(patience)
  expect(server.err()).toMatch(/the audit log cannot be written: ENXIO.*a named pipe that a program reads/s)
})

it('writes to a named pipe; when its reader has left or does not read, it serves clients and stops at once', async () => {
  const reader = commands.spawn('cat', [pipe])
  const server = serve()
  const url = await waitUntil(() => listeningUrl(server.err()), 'the server to listen', 60_000)
  await refuse(url)
  await waitUntil(() => reader.out().includes('"refused"'), 'the line')
  reader.child.kill('SIGKILL')
  await reader.end
  await refuse(url)
  await waitUntil(() => server.err().includes('The audit log cannot be written'), 'the warning')

  const idle = commands.spawn('sh', ['-c', 'exec 3< "$1"; echo opened; exec sleep 100', 'sh', pipe])
  await waitUntil(() => idle.out().includes('opened'), 'the reader')
  // More than the 64 KiB of a pipe.
  for (let sent = 0; sent < 600; sent += 50) await Promise.all(Array.from({ length: 50 }, () => refuse(url)))
  expect((await post(url, { query: '{ channels }' })).status).toBe(200)
  const asked = performance.now()
  server.child.kill('SIGTERM')
  expect(await server.end).toBe(0)
  expect(performance.now() - asked).toBeLessThan(8000)
  expect(server.err()).toMatch(/lines of the audit log are lost/)
  idle.child.kill('SIGKILL')
})
