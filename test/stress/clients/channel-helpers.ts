import { channelEvents } from '../../../src/client/index.js'
import type { Helper, Kit, Tables } from './helper.js'
import { describe } from './row-helpers.js'

/** Fewer than arrive, so that the store forgets some. */
const LIMIT = 20

/**
 * A store of the events that `seal` publishes: those of each branch arrive one by one, unless a gap says that some are missing. At rest,
 * the last one of each branch is that of its seal.
 */
export function createChannels(kit: Kit): Helper[] {
  const name = 'channelEvents'
  /** By branch; null after a gap. */
  const versions = new Map<number, number | null>()
  const all: unknown[] = []
  const store = channelEvents(kit.client, {
    name: 'seals',
    limit: LIMIT,
    onEvent({ json, gap }) {
      all.push(json)
      if (gap) {
        for (const branch of versions.keys()) versions.set(branch, null)
        return
      }
      const { branch, version } = json as { branch: number; version: number }
      const before = versions.get(branch)
      if (typeof before === 'number' && version !== before + 1)
        kit.complain(`${name}: event ${version} of branch ${branch} follows event ${before}`)
      versions.set(branch, version)
    },
  })
  store.subscribe(() => {
    kit.heard(name, store.status, store.refetch)
    const shown = store.getSnapshot().events.map(({ json }) => json)
    if (JSON.stringify(shown) !== JSON.stringify(all.slice(-LIMIT)))
      kit.complain(`${name} shows ${JSON.stringify(shown)} after ${JSON.stringify(all.slice(-LIMIT))}`)
  })
  return [
    {
      name,
      // After a gap, the versions are unknown until the next events.
      shown: () =>
        store.status.state === 'live'
          ? [...versions].filter(([, version]) => version !== null).sort()
          : undefined,
      wanted: ({ accounts }: Tables) =>
        accounts
          .filter(({ id, branch }) => id < 0 && typeof versions.get(branch) === 'number')
          .map(({ branch, version }) => [branch, version])
          .sort(),
      status: () => describe(store.status),
      dispose: store.dispose,
    },
  ]
}
