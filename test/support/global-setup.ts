import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { startEmbeddedPostgres } from '../../src/database/embedded/index.js'
import { parseIdentity } from '../../src/database/embedded/lock.js'
import { commandLine, identifyProcess, isAlive } from '../../src/database/embedded/process-identity.js'
import { canReach, chooseRunAs } from '../../src/database/embedded/run-as.js'
import { waitUntil } from './wait.js'

declare module 'vitest' {
  export interface ProvidedContext {
    /** URL of a superuser of the Postgres that all tests share. */
    postgresAdminUrl: string
    /** Folder of this run for data directories; every Postgres in it is stopped at the end. */
    postgresRoot: string
  }
}

/** For clusters that no power failure need survive; what a killed Postgres has committed is kept all the same. */
export const QUICK_SETTINGS = { fsync: 'off', full_page_writes: 'off' } as const

const PREFIX = 'listenql-test-'
const OWNER = 'owner.json'

/**
 * One Postgres for the whole run: an embedded one, or that of LISTENQL_TEST_DATABASE_URL (superuser). Whatever tests
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

  const given = process.env.LISTENQL_TEST_DATABASE_URL
  if (given) {
    project.provide('postgresAdminUrl', given)
    return () => sweep(root)
  }
  try {
    const settings = { ...QUICK_SETTINGS, max_connections: '200' }
    const postgres = await startEmbeddedPostgres({ directory: join(root, 'shared'), settings })
    project.provide('postgresAdminUrl', postgres.adminUrl)
  } catch (error) {
    await sweep(root)
    throw error
  }
  return () => sweep(root)
}

async function sweepDeadRuns(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.startsWith(PREFIX)) continue
    const owner = parseIdentity(await readFile(join(folder, name, OWNER), 'utf8').catch(() => ''))
    if (owner && !(await isAlive(owner))) await sweep(join(folder, name))
  }
}

/** Ends every Postgres whose data lies under `root` (a crash will do, the data goes too) and deletes it all. */
async function sweep(root: string): Promise<void> {
  for (const name of await readdir(root, { recursive: true }).catch(() => [])) {
    if (!name.endsWith('postmaster.pid')) continue
    const pid = Number((await readFile(join(root, name), 'utf8').catch(() => '')).split('\n')[0])
    const identity = await identifyProcess(pid)
    if (!identity || !(await commandLine(pid))?.includes(root)) continue
    try {
      process.kill(pid, 'SIGQUIT')
    } catch {
      continue // gone meanwhile
    }
    await waitUntil(async () => !(await isAlive(identity)))
  }
  await rm(root, { recursive: true, force: true, maxRetries: 5 })
}
