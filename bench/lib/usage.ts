import { readFile } from 'node:fs/promises'
import type { Child } from './child.js'
import { now } from './clock.js'
import type { ServerMethods, Usage } from './server-child.js'

/** How long a server may take to answer before its usage is read from the operating system, in ms. */
const PATIENCE = 500

/** @throws if the server is too busy to answer and the operating system does not report it either (only Linux does) */
export async function usageOf(server: Child<ServerMethods>): Promise<Usage> {
  try {
    return await server.call('usage', null, { timeout: PATIENCE })
  } catch (error) {
    const seen = await lookAt(server.pid).catch(() => undefined)
    if (!seen) throw error
    return seen
  }
}

/** https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
async function lookAt(pid: number | undefined): Promise<Usage> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1')
  const at = now()
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const TICK = 10_000 // µs: USER_HZ is 100 on every platform of Node
  const PAGE = 4096
  return { cpu: (Number(fields[11]) + Number(fields[12])) * TICK, at, rss: Number(fields[21]) * PAGE }
}
