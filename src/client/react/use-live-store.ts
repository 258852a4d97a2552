import { useEffect, useMemo, useRef, useSyncExternalStore } from 'react'
import type { ListenqlClient } from '../create-client.js'
import type { LiveSnapshot, LiveStore } from '../store/live-store.js'
import { useListenqlClient } from './provider.js'
import { cachedStore } from './store-cache.js'

/** What every hook returns beside its contents. */
export interface LiveResult extends LiveSnapshot {
  /** Reads everything again, also after an error; the present contents stay until then. */
  readonly refetch: () => void
}

/** Options of every hook. */
export interface HookOptions {
  /** Default: the client of the nearest `ListenqlProvider`. */
  readonly client?: ListenqlClient | undefined
}

/** What is to be kept, if anything. */
export interface StoreRequest<Contents> {
  /** Names the store: components with equal keys have one. Undefined: nothing is subscribed. */
  readonly key: string | undefined
  /** Contents of one kind may be shown in place of others of this kind that are not there yet, such as those of another filter. */
  readonly kind: string | undefined
  readonly create: (client: ListenqlClient) => LiveStore<Contents>
  /** What is shown if nothing is subscribed. Always the same object. */
  readonly empty: Contents
}

/** Keeps a store open while the component is mounted. Other contents replace the present ones only once they have arrived. */
export function useLiveStore<Contents extends object>(
  { key, kind, create, empty }: StoreRequest<Contents>,
  given: ListenqlClient | undefined,
): Contents & LiveResult {
  const client = useListenqlClient(given)
  // `create` belongs to `key`.
  const store = useMemo(
    () => (key === undefined ? idleStore(empty) : cachedStore(client, key, () => create(client))),
    [client, key],
  )
  const snapshot = useSyncExternalStore(store.subscribe, store.getSnapshot, store.getServerSnapshot)
  const last = useRef<{ readonly kind: string | undefined; readonly snapshot: Contents & LiveSnapshot }>(
    undefined,
  )
  useEffect(() => {
    if (snapshot.isLoaded) last.current = { kind, snapshot }
  }, [kind, snapshot])
  const previous = kind !== undefined && last.current?.kind === kind ? last.current.snapshot : undefined
  return useMemo(
    () => ({
      ...(snapshot.isLoaded || !previous ? snapshot : meanwhile(snapshot, previous)),
      refetch: store.refetch,
    }),
    [snapshot, previous, store],
  )
}

/** The contents of before with the status of now. */
function meanwhile<Contents extends object>(
  now: Contents & LiveSnapshot,
  previous: Contents & LiveSnapshot,
): Contents & LiveSnapshot {
  const { state, since, error } = now
  if (state === 'failed' || state === 'closed') return now
  return { ...previous, state: state === 'loading' ? 'catching-up' : state, since, error }
}

function idleStore<Contents extends object>(
  empty: Contents,
): Pick<LiveStore<Contents>, 'subscribe' | 'getSnapshot' | 'getServerSnapshot' | 'refetch'> {
  const snapshot = {
    ...empty,
    state: 'loading',
    since: new Date(),
    error: undefined,
    isLoaded: false,
  } as const
  return {
    subscribe: () => () => {},
    getSnapshot: () => snapshot,
    getServerSnapshot: () => snapshot,
    refetch() {},
  }
}
