import { setTimeout as delay } from 'node:timers/promises'
import { startCuttingProxy } from '../../support/cutting-proxy.js'
import { startMovingNginx } from '../../support/moving-nginx.js'
import type { Fault } from '../chaos.js'
import type { Random } from '../random.js'
import type { StressServer, StressServers } from '../servers.js'

/** The one address at which clients look for a server, wherever the server is at the moment. */
export interface Address {
  readonly url: string
  /** Faults of the way between clients and servers. */
  readonly faults: Readonly<Record<string, Fault>>
  /** While `task` runs, no client reaches a server. */
  whileCut(task: () => Promise<unknown>): Promise<void>
  close(): Promise<void>
}

/** The servers are reached directly at first, and behind an nginx later. */
export async function createAddress(servers: StressServers, random: Random): Promise<Address> {
  let current = servers.all[0] as StressServer
  const nginx = await startMovingNginx(current.url)
  const proxy = await startCuttingProxy(current.url)

  async function whileCut(task: () => Promise<unknown>): Promise<void> {
    await proxy.cut()
    await task().finally(proxy.mend)
  }
  /** New connections go to another server; those that exist are cut, or stay until their server ends. */
  async function move(isBehindNginx: boolean): Promise<void> {
    current = random.pick(servers.all.filter(server => server !== current))
    if (isBehindNginx) await nginx.moveTo(current.url)
    proxy.moveTo(isBehindNginx ? nginx.url : current.url)
    if (random.chance(0.5)) await whileCut(async () => undefined)
  }
  const fault = (share: number, strike: () => Promise<unknown>): Fault => ({
    share,
    strike: async () => ((await strike()) === false ? 0 : 1),
  })
  return {
    url: proxy.url,
    whileCut,
    faults: {
      'connections cut': fault(3, () => whileCut(() => delay(random.int(0, 600)))),
      'moved behind nginx': fault(3, () => move(true)),
      'moved away from nginx': fault(1, () => move(false)),
      'nginx restart': fault(2, () => nginx.restart(() => delay(random.int(0, 300)))),
      'server kill -9, and nginx points to another': fault(2, async () => {
        const killed = current
        if (!killed.isRunning) return false // another fault starts it again
        await killed.kill('SIGKILL')
        await move(true)
        await delay(random.int(0, 500))
        killed.start()
        return true
      }),
    },
    async close() {
      await proxy.close()
      await nginx.close()
    },
  }
}
