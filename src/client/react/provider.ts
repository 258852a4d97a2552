import { createContext, createElement, type ReactElement, type ReactNode, useContext } from 'react'
import type { ListenqlClient } from '../create-client.js'

const ClientContext = createContext<ListenqlClient | undefined>(undefined)

/** What `ListenqlProvider` takes. */
export interface ListenqlProviderProps {
  /** Of `createClient`. Create it once, outside of components. */
  readonly client: ListenqlClient
  /** The components that use it. */
  readonly children?: ReactNode
}

/** Gives a client to the hooks in the components below it. */
export function ListenqlProvider({ client, children }: ListenqlProviderProps): ReactElement {
  return createElement(ClientContext.Provider, { value: client }, children)
}

/**
 * Returns the client of the nearest provider.
 * @param given takes precedence
 * @throws Error if there is neither
 */
export function useListenqlClient(given?: ListenqlClient): ListenqlClient {
  const provided = useContext(ClientContext)
  const client = given ?? provided
  if (client) return client
  throw new Error('there is no client: put the app into <ListenqlProvider client={createClient({ url })}>')
}
