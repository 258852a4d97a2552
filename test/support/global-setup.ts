import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { startEmbeddedPostgres } from '../../src/embedded/index.js'
import { parseIdentity } from '../../src/embedded/lock.js'
import { commandLine, identifyProcess, isAlive } from '../../src/embedded/process-identity.js'
import { canReach, chooseRunAs } from '../../src/embedded/run-as.js'
import { sendSignal } from './send-signal.js'
import { waitUntil } from './wait.js'

declare module 'vitest' {
  export interface ProvidedContext {
    /** URLs of superusers, of one Postgres for each worker: `sharedPostgres()` finds that of a test. */
    postgresAdminUrls: readonly string[]
    /** Folder of this run for data directories; every Postgres in it is stopped at the end. */
    postgresRoot: string
  }
}

/** For clusters that no power failure need survive; what a killed Postgres has committed is kept all the same. */
export const QUICK_SETTINGS = { fsync: 'off', full_page_writes: 'off' } as const

const PREFIX = 'listenql-test-'
const OWNER = 'owner.json'

/**
 * One Postgres for each worker: embedded ones, or that of LISTENQL_TEST_DATABASE_URL (superuser). Whatever tests
 * start under `postgresRoot` and forget, because they failed or were killed, is stopped here; so is what earlier runs
 * that were killed have left.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const reachable = (await canReach(await chooseRunAs(undefined), tmpdir())) ? tmpdir() : '/tmp'
  await sweepDeadRuns(reachable)
  const root = await mkdtemp(join(reachable, PREFIX))
  await chmod(root, 0o755)
  await writeFile(join(root, OWNER), JSON.stringify(await identifyProcess(process.pid)))
  project.provide('postgresRoot', root)
  // After Ctrl-C vitest exits without waiting for the tear-down below.
  const atExit = () => sweepNow(root)
  process.once('exit', atExit)
  const tearDown = async () => {
    await sweep(root)
    process.off('exit', atExit)
  }

  const given = process.env.LISTENQL_TEST_DATABASE_URL
  if (given) {
    project.provide('postgresAdminUrls', [given])
    return tearDown
  }
  try {
    const settings = { ...QUICK_SETTINGS, max_connections: '200' }
    const urls: string[] = []
    for (let worker = 1; worker <= Number(project.config.maxWorkers ?? 1); worker++) {
      const postgres = await startEmbeddedPostgres({ directory: join(root, `shared-${worker}`), settings })
      urls.push(postgres.adminUrl)
    }
    project.provide('postgresAdminUrls', urls)
  } catch (error) {
    await tearDown()
    throw error
  }
  return tearDown
}

async function sweepDeadRuns(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const root = join(folder, name)
    if (!name.startsWith(PREFIX)) continue
    const owner = parseIdentity(await readFile(join(root, OWNER), 'utf8').catch(() => ''))
    // Without an owner: just being made, or left by a sweep that was cut short.
    const dead = owner ? !(await isAlive(owner)) : Date.now() - (await stat(root)).mtimeMs > 600_000
    if (dead) await sweep(root)
  }
}

/** Ends every Postgres whose data lies under `root` (a crash will do, the data goes too) and deletes it all. */
async function sweep(root: string): Promise<void> {
  for (const pid of postgresUnder(root)) {
    const identity = await identifyProcess(pid)
    if (!identity || !(await commandLine(pid))?.includes(root)) continue
    sendSignal(pid, 'SIGQUIT')
    await waitUntil(async () => !(await isAlive(identity)), 'Postgres to end')
  }
  await rm(root, { recursive: true, force: true, maxRetries: 5 })
}

/** As `sweep`, without waiting: what is still being written is left to the next run. */
function sweepNow(root: string): void {
  try {
    for (const pid of postgresUnder(root)) sendSignal(pid, 'SIGQUIT')
    rmSync(root, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  } catch {
    return
  }
}

/** Pids in `postmaster.pid` of the data directories below a folder; those that vanish meanwhile are passed over. */
function postgresUnder(folder: string, depth = 4): number[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).flatMap(entry => {
      const path = join(folder, entry.name)
      if (entry.name === 'postmaster.pid') return Number(readFileSync(path, 'utf8').split('\n')[0])
      return entry.isDirectory() && depth > 0 ? postgresUnder(path, depth - 1) : []
    })
  } catch {
    return []
  }
}
