import { afterEach, beforeEach, expect, it } from 'vitest'
import { createServiceManager } from '../../../src/commands/shared/service-manager.js'
import type { ServerStatus } from '../../../src/index.js'
import { describeWithSystemd, type NotifySocket, openNotifySocket } from '../../support/notify-socket.js'
import { waitUntil } from '../../support/wait.js'

const READY: ServerStatus = { status: 'ready', database: 'connected', connections: 0, isAlive: true }

const lines: string[] = []
const logger = {
  warn: (line: unknown) => lines.push(String(line)),
  error: (line: unknown) => lines.push(String(line)),
}
const cleanUps: (() => unknown)[] = []
beforeEach(() => void lines.splice(0))
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

function start(socket: NotifySocket, variables: NodeJS.ProcessEnv = {}) {
  const env = { PATH: process.env.PATH, NOTIFY_SOCKET: socket.path, KEPT: '1', ...variables }
  const manager = createServiceManager({ env, logger })!
  cleanUps.push(() => manager.close())
  return { manager, env }
}

async function open(): Promise<NotifySocket> {
  const socket = await openNotifySocket()
  cleanUps.push(() => socket.close())
  return socket
}

const pings = ({ messages }: NotifySocket) => messages.filter(fields => fields.includes('WATCHDOG=1')).length

it('without NOTIFY_SOCKET there is no service manager', () => {
  expect(createServiceManager({ env: {}, logger })).toBeUndefined()
})

it('a missing systemd-notify is one warning, however often it is needed', async () => {
  const env = { PATH: '/nowhere', NOTIFY_SOCKET: '/nowhere/socket', WATCHDOG_USEC: '3000' }
  const manager = createServiceManager({ env, logger })!
  cleanUps.push(() => manager.close())
  let asked = 0
  manager.ready(() => ({ ...READY, connections: ++asked }))
  await waitUntil(() => asked > 5, 'several messages')
  expect(lines).toEqual([
    'systemd gets no messages of this server: spawn systemd-notify ENOENT. The unit needs systemd-notify and NotifyAccess=all, or Type=exec without WatchdogSec.',
  ])
})

describeWithSystemd('systemd-notify', 'systemd', () => {
  it('is told that the server is ready, how it is, and that it stops', async () => {
    const socket = await open()
    const { manager, env } = start(socket, { WATCHDOG_USEC: '30000' })
    let status = READY
    manager.ready(() => status)
    await waitUntil(() => pings(socket) > 2, 'signs of life')
    status = { ...READY, status: 'not ready', database: 'unreachable', connections: 1 }
    await waitUntil(() => socket.messages.flat().some(field => field.includes('not ready')), 'the status')
    status = { ...READY, status: 'draining', connections: 12 }
    manager.stopping()
    await waitUntil(() => socket.messages.flat().includes('STOPPING=1'), 'the end')
    expect(socket.messages[0]).toEqual(['READY=1', 'WATCHDOG=1', 'STATUS=ready; 0 connections'])
    const texts = socket.messages.flat().filter(field => field.startsWith('STATUS='))
    expect(texts).toEqual([
      'STATUS=ready; 0 connections',
      'STATUS=not ready: the database cannot be reached; 1 connection',
      'STATUS=draining; 12 connections',
    ])
    expect(lines).toEqual([])
    // Children that are no part of this must not send messages.
    expect(env).toEqual({ PATH: process.env.PATH, KEPT: '1' })
  })

  it('gets no ping while the loop of the event log is stuck, and the log says so once', async () => {
    const socket = await open()
    const { manager } = start(socket, { WATCHDOG_USEC: '30000', WATCHDOG_PID: String(process.pid) })
    let asked = 0
    let isAlive = false
    manager.ready(() => ({ ...READY, connections: ++asked, isAlive }))
    await waitUntil(() => socket.messages.length > 3, 'messages')
    expect(pings(socket)).toBe(0)
    expect(lines).toEqual([
      'The loop that reads the event log is stuck, so systemd gets no ping for its watchdog and restarts this server.',
    ])
    isAlive = true
    await waitUntil(() => pings(socket) > 0, 'signs of life')
  })

  it('gets no ping if the watchdog expects it from another process', async () => {
    const socket = await open()
    const { manager } = start(socket, { WATCHDOG_USEC: '30000', WATCHDOG_PID: '1' })
    manager.ready(() => READY)
    manager.stopping()
    await waitUntil(() => socket.messages.length === 2, 'two messages')
    expect(socket.messages).toEqual([['READY=1', 'STATUS=ready; 0 connections'], ['STOPPING=1']])
  })
})
