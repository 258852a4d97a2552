import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { findChromium, launchChromium } from '../../support/browser.js'
import { query } from '../../support/graphql-request.js'
import { createLog, type TestLog } from '../../support/log.js'
import {
  browserEventSource,
  type Following,
  MATRIX_CLIENTS,
  type MatrixClient,
} from '../../support/matrix-clients.js'
import { findNginx, startNginx } from '../../support/nginx.js'
import { type ServerProcess, startServerProcess } from '../../support/server-process.js'
import { waitUntil } from '../../support/wait.js'

// Every client through every restart, over servers in separate processes. All clients go through a restart together; each test
// checks the outcome of its own cell.

interface Stage {
  readonly url: string
  /** Where clients over HTTP connect; default: `url`. */
  readonly httpUrl?: string
  /**
   * The restart.
   * @param away to be awaited while clients are cut off
   */
  restart(away: () => Promise<void>): Promise<void>
  close(): Promise<unknown>
}

const FORWARD = 'proxy_set_header Host $http_host; proxy_read_timeout 1h;'
const UPGRADE =
  'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";'

/** nginx, with `/1.0` for clients that use its default protocol version. */
const startProxy = (servers: readonly ServerProcess[]) =>
  startNginx(
    port => `
  upstream listenql {
    ${servers.map(({ url }) => `server 127.0.0.1:${new URL(url).port} max_fails=0;`).join('\n    ')}
  }
  server {
    listen ${port};
    location / { proxy_pass http://listenql; ${FORWARD} ${UPGRADE} }
    location /1.0/ { proxy_pass http://listenql/; ${FORWARD} }
  }`,
  )

const STAGES: Readonly<Record<string, (databaseUrl: string) => Promise<Stage>>> = {
  async 'SIGTERM to the server'(databaseUrl) {
    const server = await startServerProcess(databaseUrl)
    return {
      url: server.url,
      async restart(away) {
        await server.stop()
        await away()
        await server.start()
      },
      close: () => server.kill(),
    }
  },
  async 'SIGKILL to the server'(databaseUrl) {
    const server = await startServerProcess(databaseUrl)
    return {
      url: server.url,
      async restart(away) {
        await server.kill()
        await away()
        await server.start()
      },
      close: () => server.kill(),
    }
  },
  async 'a restart of nginx'(databaseUrl) {
    const server = await startServerProcess(databaseUrl)
    const nginx = await startProxy([server])
    return {
      url: `http://127.0.0.1:${nginx.port}`,
      restart: nginx.restart,
      close: () => Promise.all([nginx.close(), server.kill()]),
    }
  },
  async 'SIGTERM to two servers in turn, behind nginx'(databaseUrl) {
    const servers = await Promise.all([startServerProcess(databaseUrl), startServerProcess(databaseUrl)])
    const nginx = await startProxy(servers)
    return {
      url: `http://127.0.0.1:${nginx.port}`,
      httpUrl: `http://127.0.0.1:${nginx.port}/1.0`,
      async restart(away) {
        for (const server of servers) {
          await server.stop()
          await away()
          await server.start()
        }
      },
      close: () => Promise.all([nginx.close(), ...servers.map(server => server.kill())]),
    }
  },
}

/** For each restart and client: what arrived, and what should have arrived. */
const outcomes: Record<string, Record<string, { came: readonly string[]; wanted: readonly string[] }>> = {}
const stageNames = Object.keys(STAGES).filter(name => findNginx() !== undefined || !name.includes('nginx'))
const BROWSER = 'EventSource of Chromium'
const clientNames = [...Object.keys(MATRIX_CLIENTS), ...(findChromium() === undefined ? [] : [BROWSER])]
if (findNginx() === undefined)
  console.warn('Skipped: clients through a restart of nginx. There is none here: apt-get install nginx.')
if (findChromium() === undefined)
  console.warn('Skipped: EventSource through restarts. There is no Chromium here: apt-get install chromium.')

let log: TestLog
let browser: Browser | undefined
beforeAll(async () => {
  vi.spyOn(console, 'error').mockReturnValue() // event-source-polyfill logs there that its connection was lost
  log = await createLog()
  await log.query('create table people (run int, pk int, primary key (run, pk))')
  await log.watch('people')
  if (findChromium() !== undefined) browser = await launchChromium()
  // Two at a time, because each starts servers. Both are awaited, so that no process keeps running when the other one fails.
  for (let at = 0; at < stageNames.length; at += 2) {
    const played = await Promise.allSettled(stageNames.slice(at, at + 2).map(play))
    for (const result of played) if (result.status === 'rejected') throw result.reason
  }
}, 240_000)
afterAll(async () => {
  await browser?.close()
  await log?.close()
  vi.restoreAllMocks()
})

describe.each(stageNames)('%s', stage => {
  it.each(clientNames)('loses nothing and duplicates nothing: %s', client => {
    const { came, wanted } = outcomes[stage]?.[client] ?? {}
    expect(wanted?.length).toBeGreaterThan(12)
    expect(came).toEqual(wanted)
  })
})

/** One restart while rows are written, and one while none are; then the outcome of each client is known. */
async function play(stageName: string): Promise<void> {
  const stage = await (STAGES[stageName] as (typeof STAGES)[string])(log.database.url)
  const run = stageNames.indexOf(stageName)
  const followings = new Map<string, Following>()
  let last = 0
  async function insert(rows: number): Promise<void> {
    for (let i = 0; i < rows; i++) await log.query('insert into people values ($1, $2)', [run, ++last])
  }
  /** Resolves once every client has that many lines; missing lines are judged later. */
  const allHave = (count: number, what: string) =>
    waitUntil(
      async () => {
        const all = await Promise.all([...followings.values()].map(({ lines }) => lines()))
        return all.every(({ length }) => length >= count)
      },
      what,
      30_000,
    ).catch(() => undefined)
  try {
    const connect: [string, MatrixClient][] = Object.entries(MATRIX_CLIENTS)
    if (browser) connect.push([BROWSER, browserEventSource(browser)])
    const httpUrl = stage.httpUrl ?? stage.url
    const { people } = await query(stage.url, '{ people(limit: 1) { cursor } }')
    const { cursor: after } = people as { cursor: string }
    const followed = {
      url: httpUrl,
      webSocketUrl: stage.url,
      query: `subscription { peopleChanged(where: { run: { eq: ${run} } }) { operation row { pk } } }`,
      after,
    }
    await Promise.all(connect.map(async ([name, follow]) => followings.set(name, await follow(followed))))

    await insert(3)
    await allHave(last, 'the first rows')
    const state = { over: false }
    const writing = (async () => {
      while (!state.over) {
        await insert(1)
        await log.query('select pg_sleep(0.02)')
      }
    })()
    try {
      await stage.restart(async () => {
        const before = last
        await waitUntil(() => last >= before + 3, 'rows to be written')
      })
      await allHave(last + 1, 'all to come back')
    } finally {
      state.over = true
      await writing
    }

    await allHave(last, 'all rows that were written')
    await stage.restart(() => insert(3))
    await insert(3)
    await allHave(last, 'the last rows')
    const wanted = Array.from({ length: last }, (_, index) => `INSERT ${index + 1}`)
    outcomes[stageName] = {}
    for (const [name, { lines }] of followings)
      outcomes[stageName][name] = { came: [...(await lines())], wanted }
  } finally {
    await Promise.all([...followings.values()].map(following => following.close()))
    await stage.close()
  }
}
