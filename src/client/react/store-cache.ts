import type { LiveStore } from '../store/live-store.js'

type Stores = Map<string, WeakRef<LiveStore<object>>>

const ofClients = new WeakMap<object, Stores>()
const collected = new FinalizationRegistry<{ readonly stores: Stores; readonly key: string }>(
  ({ stores, key }) => {
    if (stores.get(key)?.deref() === undefined) stores.delete(key)
  },
)

/**
 * Returns the store of this key, so that components that show the same have one subscription. The cache does not keep a store alive:
 * React may render a component that it never mounts, and a server renders components of which none is ever mounted.
 */
export function cachedStore<Contents extends object>(
  client: object,
  key: string,
  create: () => LiveStore<Contents>,
): LiveStore<Contents> {
  let stores = ofClients.get(client)
  if (!stores) {
    stores = new Map()
    ofClients.set(client, stores)
  }
  const known = stores.get(key)?.deref() as LiveStore<Contents> | undefined
  if (known && known.status.state !== 'closed') return known
  const store = create()
  stores.set(key, new WeakRef(store))
  collected.register(store, { stores, key })
  return store
}
