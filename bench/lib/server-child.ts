/** A server under test in its own process, which reports the processor time and memory it uses. Its first argument is a ServerTask as JSON. */
import { writeFile } from 'node:fs/promises'
import { Session } from 'node:inspector/promises'
import type { ServerOptions } from '../../src/index.js'
import { answer } from './answer.js'
import { now } from './clock.js'
import { startFloor } from './servers/floor.js'
import { startListenql } from './servers/listenql.js'
import { startPostgraphile } from './servers/postgraphile.js'
import { startTutorial } from './servers/tutorial.js'
import type { ServerName } from './variants.js'

export interface ServerTask {
  readonly server: ServerName
  readonly url: string
  /** Options of listenql; the other servers use the keep-alive only. */
  readonly options?: ServerOptions
  /** Where PostGraphile is installed. */
  readonly folder?: string
}

export interface Usage {
  /** Processor time of all threads, in µs. */
  readonly cpu: number
  /** Time of the reading, in µs of `now()`. */
  readonly at: number
  /** Resident memory in bytes. */
  readonly rss: number
}

const task = JSON.parse(process.argv[2] ?? '') as ServerTask
const port = start()
const session = new Session()

function start(): Promise<number> {
  if (task.server === 'listenql') return startListenql(task.url, task.options ?? {})
  if (task.server === 'tutorial') return startTutorial(task.url, task.options?.keepAlive ?? 12_000)
  if (task.server === 'postgraphile') return startPostgraphile(task.url, task.folder ?? '')
  return startFloor(task.url)
}

const methods = {
  port: (_: null) => port,
  usage(_: null): Usage {
    const { user, system } = process.cpuUsage()
    return { cpu: user + system, at: now(), rss: process.memoryUsage.rss() }
  },
  /** Collects garbage, so that only memory that subscribers hold is measured. */
  async collect(_: null): Promise<void> {
    for (let i = 0; i < 4; i++) {
      globalThis.gc?.()
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  },
  async startProfile(_: null): Promise<void> {
    session.connect()
    await session.post('Profiler.enable')
    await session.post('Profiler.setSamplingInterval', { interval: 500 })
    await session.post('Profiler.start')
  },
  async stopProfile(file: string): Promise<void> {
    const { profile } = await session.post('Profiler.stop')
    session.disconnect()
    await writeFile(file, JSON.stringify(profile))
  },
}
export type ServerMethods = typeof methods

answer(methods)
