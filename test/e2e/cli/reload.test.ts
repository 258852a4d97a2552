import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { TRANSPORTS } from '../../support/clients.js'
import { query } from '../../support/graphql-request.js'
import { listeningUrl } from '../../support/listening-url.js'
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js'
import { CLI, createCommands } from '../../support/running.js'
import { waitUntil } from '../../support/wait.js'

const commands = createCommands()
let database: TestDatabase
let folder: string
beforeEach(async () => {
  database = await createTestDatabase()
  folder = mkdtempSync(join(tmpdir(), 'listenql-reload-'))
})
afterEach(async () => {
  await commands.endAll()
  await database?.close()
  rmSync(folder, { recursive: true })
})

const configure = (toml: string) => writeFileSync(join(folder, 'listenql.toml'), toml)

/** Starts a server without a terminal, in a folder with its configuration. */
async function serve(...flags: string[]) {
  const options = ['--host', 'localhost', '--port', '0', '--database-url', database.url, ...flags]
  const server = commands.spawn(process.execPath, [CLI, 'serve', ...options], { detached: true, cwd: folder })
  const url = await waitUntil(() => listeningUrl(server.err()), 'the server to listen', 60_000)
  const said = (text: string) => waitUntil(() => server.err().includes(text), text)
  return { ...server, url, said, hangUp: () => server.child.kill('SIGHUP') }
}

it('SIGHUP reads the file again, says what has changed and what needs a restart, and flags stay', async () => {
  configure(`Channels = ["a"]\nMaxDepth = 7\n`)
  const server = await serve('--max-aliases', '9')
  configure(`Channels = ["a", "b"]\nMaxDepth = 8\nMaxAliases = 1\nHeartbeat = "7s"\n`)
  server.hangUp()
  await server.said('Reloaded: --channels, --max-depth.')
  await server.said('Other values of --heartbeat need a restart; the former ones stay in force.')
  expect(await query(server.url, '{ a: channels b: channels }')).toEqual({ a: ['a', 'b'], b: ['a', 'b'] })
  server.hangUp()
  await server.said('Reloaded: no option has another value; files were read again.')
  server.child.kill('SIGTERM')
  expect(await server.end).toBe(0)
})

it('SIGHUP while the server starts is answered when it has started', async () => {
  configure('Channels = ["a"]')
  const silent = createTcpServer(socket => socket.resume())
  const hasBegun = once(silent, 'connection')
  await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve))
  const { port } = silent.address() as AddressInfo
  const options = ['--host', 'localhost', '--port', '0', '--database-url', `postgres://127.0.0.1:${port}/x`]
  const server = commands.spawn(process.execPath, [CLI, 'serve', ...options], { detached: true, cwd: folder })
  await hasBegun
  configure('Channels = ["b"]')
  server.child.kill('SIGHUP')
  await waitUntil(() => server.err().includes('Reloaded: --channels.'), 'the reload', 20_000)
  server.child.kill('SIGKILL')
  await server.end
  await new Promise(resolve => silent.close(resolve))
})

it('SIGHUP without the file that the server has read changes nothing', async () => {
  configure('Channels = ["a"]')
  const server = await serve()
  rmSync(join(folder, 'listenql.toml'))
  server.hangUp()
  await server.said('the configuration file listenql.toml does not exist')
  expect(await query(server.url, '{ channels }')).toEqual({ channels: ['a'] })
})

it('SIGHUP during a drain does not end the process, which ends all streams with their goodbye', async () => {
  const server = await serve('--drain', '4s')
  const open = await Promise.all(['a', 'b'].map(name => TRANSPORTS['graphql-ws'](server.url, name)))
  server.child.kill('SIGTERM')
  await Promise.race(open.map(({ ended }) => ended)) // the first half of the drain is over
  server.hangUp()
  expect(await Promise.all(open.map(({ ended }) => ended))).toEqual(['1001', '1001'])
  expect(await server.end).toBe(0)
})

it('a hundred SIGHUPs at once leave the last settings in force', async () => {
  configure('Channels = ["a"]')
  const server = await serve()
  for (let i = 0; i < 99; i++) server.hangUp()
  configure('Channels = ["b"]')
  server.hangUp()
  await server.said('Reloaded: --channels.')
  expect(await query(server.url, '{ channels }')).toEqual({ channels: ['b'] })
})

it.each([
  ['a file that is no TOML', 'Channels = [', 'listenql.toml:'],
  ['an unknown key', 'Chanels = ["b"]', 'Chanels is not a known key'],
  ['a value that a part of the server refuses', 'TrustedDocuments = "absent.json"', 'absent.json'],
])('SIGHUP with %s changes nothing, and the log says why', async (_what, toml, message) => {
  configure('Channels = ["a"]')
  const server = await serve()
  configure(`${toml}\n`)
  server.hangUp()
  await server.said('The settings were not reloaded, and the former ones stay in force: ')
  await server.said(message)
  expect(await query(server.url, '{ channels }')).toEqual({ channels: ['a'] })
  configure('Channels = ["b"]')
  server.hangUp()
  await server.said('Reloaded: --channels.')
  expect(await query(server.url, '{ channels }')).toEqual({ channels: ['b'] })
})
