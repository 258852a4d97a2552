import { expect } from 'vitest'
import { waitUntil } from '../../support/wait.js'
import { PROXY_CERTIFICATE, SERVER_CERTIFICATE } from '../balancer.js'
import type { Chapter } from '../chapter.js'
import type { Day } from '../day.js'
import type { Instance } from '../instances.js'
import { ask } from '../requests.js'
import { type Staff, tokenFor } from '../staff.js'

export const KILL: Chapter = {
  title: 'one server is killed with -9, and started again after the alert',
  alerts: ['ListenqlDown'],
  async run({ instances, prometheus }, { writers }) {
    const victim = instances[0] as Instance
    await victim.kill()
    await prometheus.until('ALERTS{alertname="ListenqlDown", alertstate="firing"}', 'ListenqlDown to fire')
    await victim.start()
    await prometheus.until('absent(ALERTS{alertname="ListenqlDown"})', 'ListenqlDown to end')
    await writers.more(50)
    return 'its clients went on at the other two'
  },
}

/** Stops the servers one after the other, each with its drain, and starts each again. */
export async function restartAll({ instances }: Day, { writers }: Staff): Promise<void> {
  for (const instance of instances) {
    await instance.stop()
    await instance.start()
    await writers.more(20)
  }
}

/** Makes the servers read their configuration, certificates and keys again, and resolves once all of them have. */
export async function reload({ instances }: Day): Promise<void> {
  const before = instances.map(reloads)
  for (const instance of instances) instance.reload()
  await waitUntil(
    () => instances.every((instance, i) => reloads(instance) > (before[i] as number)),
    'the servers to reload',
  )
}

const reloads = ({ log }: Instance) => log.filter(({ msg }) => String(msg).startsWith('Reloaded:')).length

export const ROLL: Chapter = {
  title: 'the servers are restarted one after the other, with a drain of 2 s',
  async run(day, staff) {
    await restartAll(day, staff)
    return 'no alert, since each was back in time'
  },
}

export const ROTATE: Chapter = {
  title: 'certificates and keys of tokens are replaced',
  async run(day) {
    const { issuer, certificates, nginx, instances } = day
    const status = async (instance: Instance, token: string) =>
      (await ask(day.entranceOf(instance), '{ channels }', token)).status
    const statuses = (token: string) => Promise.all(instances.map(instance => status(instance, token)))
    const all = (value: number, found: readonly number[]) => found.every(each => each === value)
    const validity = 3600
    const former = await tokenFor(day, 'visitor', 'north', { validity })
    await issuer.publishKey()
    const fresh = await tokenFor(day, 'visitor', 'north', { validity, key: 'next' })
    // A server fetches the keys when a token names one that it does not know, at most every 10 s.
    await waitUntil(async () => all(200, await statuses(fresh)), 'the servers to know the new key')
    issuer.useNewestKey()
    expect(await statuses(former)).toEqual([200, 200, 200])

    const proxySerial = await certificates.issue(PROXY_CERTIFICATE)
    const serverSerial = await certificates.issue(SERVER_CERTIFICATE)
    issuer.dropFormerKeys()
    await nginx.reload()
    await reload(day)
    await nginx.settled()
    expect((await ask(day.entrance, '{ channels }', fresh)).certificate.serialNumber).toBe(proxySerial)
    for (const instance of instances) {
      const { status, certificate } = await ask(day.entranceOf(instance), '{ channels }', fresh)
      expect({ status, serial: certificate.serialNumber }).toEqual({ status: 200, serial: serverSerial })
    }
    await waitUntil(async () => all(401, await statuses(former)), 'the former key to be refused')
    return 'nginx and the servers show new certificates; a token of the former key is refused'
  },
}
