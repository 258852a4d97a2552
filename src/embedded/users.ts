import { randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseIdentity } from './lock.js'
import { identifyProcess, isAlive } from './process-identity.js'

/**
 * The listenql processes that use one embedded Postgres, a file each, so that the last one to leave stops it.
 * Files of dead processes are removed. Call it only while holding the lock.
 */
export interface Users {
  /** Adds this process. */
  register(): Promise<Registration>
  /** Number of running processes. */
  count(): Promise<number>
}

export interface Registration {
  /** Removes this process. */
  leave(): Promise<void>
  /** Whether no other process seems to use it: for a process that exits, and cannot wait for the lock. */
  isAlone(): boolean
}

export function createUsers(folder: string): Users {
  return {
    async register() {
      await mkdir(folder, { recursive: true })
      const name = `${process.pid}-${randomBytes(4).toString('hex')}.json`
      const file = join(folder, name)
      await writeFile(file, JSON.stringify(await identifyProcess(process.pid)))
      return {
        leave: () => rm(file, { force: true }),
        isAlone: () => readdirSync(folder).every(other => other === name),
      }
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
