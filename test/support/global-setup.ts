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
    /** URLs of superusers, one Postgres for each worker: `sharedPostgres()` returns the one of the test's worker. */
    postgresAdminUrls: readonly string[]
    /** Folder of this run for data directories. Every Postgres in it is stopped at the end. */
    postgresRoot: string
  }
}

/** Settings for clusters that need not survive a power failure; a killed Postgres still keeps its commits. */
export const QUICK_SETTINGS = { fsync: 'off', full_page_writes: 'off' } as const

const PREFIX = 'listenql-test-'
const OWNER = 'owner.json'

/**
 * One Postgres for each worker: embedded ones, or the one of LISTENQL_TEST_DATABASE_URL (superuser). The tear-down stops every
 * Postgres that tests started under `postgresRoot` and left running, and the set-up removes what killed earlier runs left.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const reachable = (await canReach(await chooseRunAs(undefined), tmpdir())) ? tmpdir() : '/tmp'
  await sweepDeadRuns(reachable)
  const root = await mkdtemp(join(reachable, PREFIX))
  await chmod(root, 0o755)
  await writeFile(join(root, OWNER), JSON.stringify(await identifyProcess(process.pid)))
  project.provide('postgresRoot', root)
  // After Ctrl-C, vitest exits without waiting for the tear-down below.
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
    // Without an owner: a run has just created it, or an interrupted sweep left it.
    const dead = owner ? !(await isAlive(owner)) : Date.now() - (await stat(root)).mtimeMs > 600_000
    if (dead) await sweep(root)
  }
}

/** Ends every Postgres whose data directory is under `root` (with a crash, because the data goes too) and deletes `root`. */
async function sweep(root: string): Promise<void> {
  for (const pid of postgresUnder(root)) {
    const identity = await identifyProcess(pid)
    if (!identity || !(await commandLine(pid))?.includes(root)) continue
    sendSignal(pid, 'SIGQUIT')
    await waitUntil(async () => !(await isAlive(identity)), 'Postgres to end')
  }
  await rm(root, { recursive: true, force: true, maxRetries: 5 })
}

/** Does the same as `sweep` without waiting: files that are still being written are left to the next run. */
function sweepNow(root: string): void {
  try {
    for (const pid of postgresUnder(root)) sendSignal(pid, 'SIGQUIT')
    rmSync(root, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  } catch {
    return
  }
}

/** Returns the pids in `postmaster.pid` of the data directories below a folder; files that vanish meanwhile are skipped. */
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
