import { randomBytes } from 'node:crypto'
import { link, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { delay } from '../lib/abort.js'
import { ListenqlError } from '../lib/errors.js'
import { identifyProcess, isAlive, type ProcessIdentity } from './process-identity.js'

const POLL_MS = 25
const LONGEST_WAIT_MS = 120_000
const BREAKER_STALE_MS = 10_000

/**
 * Runs `task` while holding the lock file `path`, so that only one process at a time creates, starts or stops Postgres.
 * The lock of a process that has died is broken.
 * @throws ListenqlError EMBEDDED_POSTGRES_FAILED after two minutes of waiting; the signal's reason when it aborts
 */
export async function withLock<T>(
  path: string,
  signal: AbortSignal | undefined,
  task: () => Promise<T>,
): Promise<T> {
  await acquire(path, signal)
  try {
    return await task()
  } finally {
    await rm(path, { force: true })
  }
}

async function acquire(path: string, signal: AbortSignal | undefined): Promise<void> {
  const own = `${path}-${process.pid}-${randomBytes(4).toString('hex')}`
  // Written under another name and linked, so that no process reads an incomplete lock.
  await writeFile(own, JSON.stringify(await identifyProcess(process.pid)), { mode: 0o644 })
  try {
    for (const deadline = Date.now() + LONGEST_WAIT_MS; ; ) {
      signal?.throwIfAborted()
      try {
        return await link(own, path)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      }
      const seen = await readFile(path, 'utf8').catch(() => undefined)
      if (seen === undefined) continue // it was released just now
      const holder = parseIdentity(seen)
      if (!holder || !(await isAlive(holder))) await breakStale(path, seen)
      else if (Date.now() > deadline) {
        throw new ListenqlError(
          'EMBEDDED_POSTGRES_FAILED',
          `process ${holder.pid} has been holding ${path} for two minutes`,
          { hint: 'end that process, or delete the file if the process is not listenql' },
        )
      }
      await delay(POLL_MS, signal ?? NEVER)
    }
  } finally {
    await rm(own, { force: true })
  }
}

const NEVER = new AbortController().signal

export function parseIdentity(text: string): ProcessIdentity | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || !('pid' in value) || !('started' in value))
      return undefined
    const { pid, started } = value
    return typeof pid === 'number' && typeof started === 'string' ? { pid, started } : undefined
  } catch {
    return undefined
  }
}

/**
 * If several processes find the same dead holder, only one may remove its lock: a second one would remove the lock that the
 * first has acquired meanwhile. So the removal has a (very short) lock of its own.
 */
async function breakStale(path: string, seen: string): Promise<void> {
  const breaker = `${path}.break`
  try {
    await writeFile(breaker, '', { flag: 'wx' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    const made = await stat(breaker).catch(() => undefined)
    if (made && Date.now() - made.mtimeMs > BREAKER_STALE_MS) await rm(breaker, { force: true })
    return
  }
  try {
    if ((await readFile(path, 'utf8').catch(() => undefined)) === seen) await rm(path, { force: true })
  } finally {
    await rm(breaker, { force: true })
  }
}
