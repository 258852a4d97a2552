import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { chmod, cp, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import pg from 'pg'
import { inject } from 'vitest'
import { freePort } from '../../src/embedded/free-port.js'
import { findEmbeddedPostgres } from '../../src/embedded/index.js'
import type { WatchedPage } from './browser.js'
import { type CuttingProxy, startCuttingProxy } from './cutting-proxy.js'
import { type MovingNginx, startMovingNginx } from './moving-nginx.js'
import type { Row } from './postgres.js'
import { cleanEnvironment, createCommands, type Running } from './running.js'
import { waitUntil } from './wait.js'

const root = resolve(import.meta.dirname, '../..')

/** The folders of examples/ that are apps: all but the server for docs/library.md. */
export const EXAMPLES = readdirSync(join(root, 'examples')).filter(name => name !== 'yoga')

/** A running example, with an empty database of its own. */
export interface Example {
  /** URL of the app, through a proxy whose connections a test can cut. */
  readonly url: string
  readonly proxy: CuttingProxy
  /** Runs SQL as the superuser. */
  query(sql: string, params?: readonly unknown[]): Promise<Row[]>
  /** Opens the app in a page, which stays when its connections are cut, as a built app does. */
  open(watched: WatchedPage): Promise<void>
  /** Sends SIGKILL to the example; its Postgres keeps running. */
  kill(): Promise<void>
  /** Starts the example again, after `kill`, under the same URL. Behind nginx, the example itself has another port then. */
  start(): Promise<void>
  /** From now on, new connections reach the example through an nginx. */
  moveBehindNginx(): Promise<void>
  /** Stops everything, and deletes its files. Idempotent. */
  close(): Promise<void>
}

/**
 * Starts `examples/<name>` as `npm start` does, in a copy of its folder whose `listenql` is this checkout's build. The copy has
 * no `simulate.sql`: the test alone writes.
 *
 * @param env variables of the example, beside `PORT`
 */
export async function startExample(name: string, env: NodeJS.ProcessEnv = {}): Promise<Example> {
  const folder = await copyExample(name)
  const commands = createCommands({ cwd: folder })
  let running: Running
  let nginx: MovingNginx | undefined
  let port = String(await freePort())
  const address = () => `http://127.0.0.1:${port}`

  async function start(): Promise<void> {
    if (nginx) port = String(await freePort())
    running = commands.spawn(process.execPath, ['start.js'], {
      env: { ...cleanEnvironment(), ...env, PORT: port },
    })
    await waitUntil(
      () => {
        if (running.child.exitCode !== null) throw new Error(`the example ended: ${running.err()}`)
        return running.out().includes(`localhost:${port}/`)
      },
      `the example to start on port ${port}`,
      60_000,
    )
    await nginx?.moveTo(address())
  }

  try {
    await start()
    const proxy = await startCuttingProxy(address())
    const postgres = await findEmbeddedPostgres({ directory: join(folder, '.listenql') })
    if (!postgres) throw new Error('the example has no Postgres')
    const pool = new pg.Pool({ connectionString: postgres.adminUrl, max: 4 })
    pool.on('error', () => undefined) // Postgres stops before the pool ends.
    let closed: Promise<void> | undefined
    return {
      url: proxy.url,
      proxy,
      query: async (sql, params = []) => (await pool.query<Row>(sql, [...params])).rows,
      async open({ page }) {
        // Vite's client would load the page again after a lost connection.
        await page.routeWebSocket(/\?token=/, () => undefined)
        await page.goto(proxy.url)
      },
      async kill() {
        const gone = once(running.child, 'exit')
        running.child.kill('SIGKILL')
        await gone
      },
      start,
      async moveBehindNginx() {
        nginx = await startMovingNginx(address())
        proxy.moveTo(nginx.url)
      },
      close() {
        closed ??= (async () => {
          await pool.end()
          await proxy.close()
          await nginx?.close()
          await commands.endAll()
          await rm(folder, { recursive: true, force: true, maxRetries: 5 })
        })()
        return closed
      },
    }
  } catch (error) {
    await commands.endAll()
    throw error
  }
}

/** Returns a folder in which packages are found as after `npm install`. */
async function copyExample(name: string): Promise<string> {
  const project = await mkdtemp(join(inject('postgresRoot'), 'example-'))
  await chmod(project, 0o755) // If the process is root, Postgres runs as another user, which must be able to enter the folder.
  const folder = join(project, name)
  await cp(join(root, 'examples', name), folder, {
    recursive: true,
    filter: path => !/(node_modules|\.listenql|simulate\.sql)$/.test(path),
  })
  await symlink(join(root, 'node_modules'), join(project, 'node_modules'))
  const installed = join(folder, 'node_modules/listenql')
  await mkdir(installed, { recursive: true })
  for (const part of ['package.json', 'dist', 'sql', 'assets', 'page/public'])
    await cp(join(root, part), join(installed, part), { recursive: true })
  return folder
}
