import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Layout } from './directory.js'
import type { Postmaster } from './postmaster.js'
import type { Registration } from './users.js'

/** Functions to call if this process exits. */
const atExit = new Set<() => void>()

/**
 * Signals Postgres to stop if this process exits without closing it: `process.exit()`, an uncaught exception, a second
 * Ctrl-C. A process that is killed with SIGKILL leaves Postgres running, and the next one takes it over.
 * @returns removes the registration
 */
export function stopAtExit(layout: Layout, { pid }: Postmaster, registration: Registration): () => void {
  if (atExit.size === 0) process.on('exit', runAll)
  const stop = () => {
    if (registration.isAlone() && isPostmaster(layout, pid)) process.kill(pid, 'SIGINT')
  }
  atExit.add(stop)
  return () => {
    atExit.delete(stop)
    if (atExit.size === 0) process.off('exit', runAll)
  }
}

function runAll(): void {
  for (const stop of atExit) {
    try {
      stop()
    } catch {
      // Postgres has ended, or its folder was deleted: there is nothing left to do.
    }
  }
}

/** The pid alone may belong to a later process. */
function isPostmaster({ data }: Layout, pid: number): boolean {
  return readFileSync(join(data, 'postmaster.pid'), 'utf8').startsWith(`${pid}\n`)
}
