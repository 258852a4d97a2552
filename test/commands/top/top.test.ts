import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { topCommand } from '../../../src/commands/top/top.js'
import { runCli } from '../../support/cli.js'
import { overGraphqlWs } from '../../support/clients.js'
import { createLive, type Live } from '../../support/live.js'
import { createLog, type TestLog } from '../../support/log.js'
import { waitUntil } from '../../support/wait.js'

let log: TestLog
let live: Live
beforeAll(async () => {
  log = await createLog()
  await log.query('create table people (pk int primary key)')
  await log.watch('people')
  live = await createLive(log)
  await live.ready('{ people { cursor } }')
})
afterAll(async () => {
  await live.close()
  await log.close()
})

it('prints the state of a server once where there is no terminal', async () => {
  const subscription = await overGraphqlWs(live.server.url, 'subscription { people { rows { pk } } }', {})
  await subscription.results.next('the first result')
  const { code, stdout, stderr } = await runCli(['top', '--url', live.server.url])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toMatch(
    /^listenql \S+ at http:.*\nready\nconnections 1 \(graphql-ws 1\) {3}groups 1, subscribers 1 {3}live queries 1\n/,
  )
  expect(stdout).toMatch(/\nGroups\nsubscribers {2}kind {2}topic\n1 +live {2}people\n/)
  await subscription.close()
})

it('draws the state again and again on a terminal, also while the server is away', async () => {
  let isAway = false
  const proxy = createServer(async (request, response) => {
    if (isAway) return response.destroy()
    response.end(await (await fetch(`${live.server.url}${request.url}`)).text())
  }).listen(0)
  const url = `http://localhost:${(proxy.address() as AddressInfo).port}`
  const stdout = Object.assign(new PassThrough(), { isTTY: true, columns: 60, rows: 10 })
  let text = ''
  stdout.on('data', chunk => {
    text += chunk
  })
  const screens = () => text.split('\u001b[H\u001b[J').slice(1)
  const stop = new AbortController()
  const running = topCommand({ url, interval: 20, once: false }, { stdout }, stop.signal)
  await waitUntil(() => screens().length > 2, 'screens')
  expect(screens()[1]).toContain('ready')
  isAway = true
  await waitUntil(() => screens().at(-1)?.includes('trying again'), 'a screen without the server')
  isAway = false
  await waitUntil(() => screens().at(-1)?.includes('ready'), 'the server to be back')
  stop.abort()
  expect(await running).toBe(0)
  for (const screen of screens()) expect(screen.trimEnd().split('\n').length).toBeLessThanOrEqual(10)
  proxy.close()
})

it('says what to do if nothing answers, or no status is shown', async () => {
  expect(await runCli(['top', '--url', 'http://localhost:1'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('no server answers at http://localhost:1'),
  })
  expect(await runCli(['top', '--url', `${live.server.url}/nowhere`])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--metrics-port'),
  })
  expect(await runCli(['top', '--interval', '5'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--interval must have a unit'),
  })
})
