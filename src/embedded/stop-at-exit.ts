import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Layout } from './directory.js'
import type { Postmaster } from './postmaster.js'
import type { Registration } from './users.js'

/** What is to be done should this process exit now. */
const atExit = new Set<() => void>()

/**
 * Has Postgres asked to stop if this process exits before it has closed it: `process.exit()`, an uncaught exception, a second
 * Ctrl-C. It stops by itself then. A process that is killed with SIGKILL leaves it running, and the next one takes it over.
 * @returns undoes it
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
      // It has ended, or its folder was deleted: nothing can be said or done about it any more.
    }
  }
}

/** The number alone may be that of a process that came later. */
function isPostmaster({ data }: Layout, pid: number): boolean {
  return readFileSync(join(data, 'postmaster.pid'), 'utf8').startsWith(`${pid}\n`)
}
