import { useSyncExternalStore } from 'react'
import type { ConnectionStatus } from '../connection/connection-status.js'
import { useListenqlClient } from './provider.js'
import type { HookOptions } from './use-live-store.js'

const ON_SERVER: ConnectionStatus = { state: 'idle', since: new Date() }

/** The state of the client's connection: connecting, live, catching up, or offline since when. `idle` on a server. */
export function useListenqlStatus({ client }: HookOptions = {}): ConnectionStatus {
  const { status } = useListenqlClient(client)
  return useSyncExternalStore(status.subscribe, status.getSnapshot, () => ON_SERVER)
}
