import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { overListen } from '../support/clients.js'
import { listeningUrl } from '../support/listening-url.js'
import { describeWithSystemd, openNotifySocket } from '../support/notify-socket.js'
import { createTestDatabase } from '../support/postgres.js'
import { CLI, cleanEnvironment, createCommands } from '../support/running.js'
import { waitUntil } from '../support/wait.js'

const UNIT = resolve(import.meta.dirname, '../../deploy/systemd/listenql.service')
/** `systemd-analyze security` calls up to 5.0 "MEDIUM" and up to 2.0 "OK"; the option counts in tenths. */
const MAX_EXPOSURE = '15'
const PROGRAM = '/opt/listenql/node_modules/.bin/listenql'

const run = promisify(execFile)
const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

describeWithSystemd('systemd-analyze', 'the unit', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'listenql-unit-'))
    cleanUps.push(() => rm(folder, { recursive: true }))
  })

  /** @returns what `systemd-analyze` says about the unit with a program that exists, after a change to its text */
  async function analyze(args: readonly string[], change = (text: string) => text) {
    const text = await readFile(UNIT, 'utf8')
    expect(text).toContain(PROGRAM)
    const unit = join(folder, 'listenql.service')
    await writeFile(unit, change(text.replace(PROGRAM, '/bin/true')))
    return run('systemd-analyze', [...args, unit], { env: cleanEnvironment() })
  }

  it('has no fault, and the check finds one', async () => {
    expect(await analyze(['verify'])).toEqual({ stdout: '', stderr: '' })
    const { stderr } = await analyze(['verify'], text => text.replace('ProtectClock', 'ProtectClocks'))
    expect(stderr).toContain("'ProtectClocks'")
  })

  it('exposes little of the machine, and the check finds more', async () => {
    const security = ['security', '--offline=true', '--no-pager', `--threshold=${MAX_EXPOSURE}`]
    await analyze(security)
    await expect(analyze(security, text => text.replace('DynamicUser=yes', ''))).rejects.toThrow(
      'Command failed',
    )
  })
})

describe('the unit', () => {
  it('leaves the server the time that it may take to stop', async () => {
    const text = await readFile(UNIT, 'utf8')
    const seconds = (pattern: RegExp) => Number(pattern.exec(text)?.[1])
    const drain = seconds(/--drain (\d+)s/)
    const shutdown = seconds(/--shutdown-timeout (\d+)s/)
    expect(drain).toBeGreaterThan(0)
    expect(shutdown).toBeGreaterThan(drain)
    expect(seconds(/^TimeoutStopSec=(\d+)$/m)).toBeGreaterThan(shutdown)
  })
})

describeWithSystemd('systemd-notify', 'a server of Type=notify', () => {
  it('says that it is ready, gives signs of life, and says how it drains', async () => {
    const database = await createTestDatabase()
    cleanUps.push(() => database.close())
    const socket = await openNotifySocket()
    cleanUps.push(() => socket.close())
    const commands = createCommands()
    cleanUps.push(() => commands.endAll())
    const server = commands.spawn(
      process.execPath,
      [CLI, '--port', '0', '--database-url', database.url, '--drain', '2s'],
      { env: { ...cleanEnvironment(), NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: '300000' } },
    )
    const url = await waitUntil(() => listeningUrl(server.err()), 'the server to listen', 60_000)
    await waitUntil(() => socket.messages.length > 3, 'signs of life')
    expect(socket.messages[0]).toEqual(['READY=1', 'WATCHDOG=1', 'STATUS=ready; 0 connections'])
    const client = await overListen(url, 'news')
    const texts = () => socket.messages.flat().filter(field => field.startsWith('STATUS='))
    await waitUntil(() => texts().includes('STATUS=ready; 1 connection'), 'the status')
    server.child.kill('SIGTERM')
    expect(await client.ended).toBe('1001')
    expect(await server.end).toBe(0)
    expect(socket.messages.flat()).toContain('STOPPING=1')
    expect(texts()).toContain('STATUS=draining; 1 connection')
  })
})
