import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseIdentity } from './lock.js'
import { identifyProcess, isAlive } from './process-identity.js'

/**
 * The listenql processes that use one embedded Postgres, a file each, so that the last one out stops it.
 * Files of processes that died are removed. To be called under the lock only.
 */
export interface Users {
  /** Adds this process; the result takes it away again. */
  join(): Promise<() => Promise<void>>
  /** How many are alive. */
  count(): Promise<number>
}

export function createUsers(folder: string): Users {
  return {
    async join() {
      await mkdir(folder, { recursive: true })
      const file = join(folder, `${process.pid}-${randomBytes(4).toString('hex')}.json`)
      await writeFile(file, JSON.stringify(await identifyProcess(process.pid)))
      return () => rm(file, { force: true })
    },
    async count() {
      let alive = 0
      for (const name of await readdir(folder).catch(() => [])) {
        const file = join(folder, name)
        const identity = parseIdentity(await readFile(file, 'utf8').catch(() => ''))
        if (identity && (await isAlive(identity))) alive += 1
        else await rm(file, { force: true })
      }
      return alive
    },
  }
}
