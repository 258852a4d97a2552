import { createContext, type ReactNode, useContext, useEffect, useMemo, useState } from 'react'
import { createClient } from '../../src/client/create-client.js'
import { ListenqlProvider } from '../../src/client/react/index.js'
import { type Ask, createAsk } from './ask.js'
import { socketUrl } from './endpoint.js'
import { createRefusals, type Refusals } from './refusals.js'
import { showingClient } from './showing-client.js'

/** Which viewer the page is, and how it asks the server. */
export interface Session {
  /** In memory only: a reload forgets it. */
  readonly token: string | undefined
  signIn(token: string): void
  signOut(): void
  readonly ask: Ask
  readonly refusals: Refusals
}

const SessionContext = createContext<Session | undefined>(undefined)

export function useSession(): Session {
  const session = useContext(SessionContext)
  if (!session) throw new Error('there is no session')
  return session
}

/** Another token is another viewer, with a client of its own. */
export function SessionProvider({ children }: { readonly children: ReactNode }) {
  const [token, setToken] = useState<string>()
  const client = useMemo(
    () =>
      createClient({
        url: socketUrl(),
        ...(token && { connectionParams: { Authorization: `Bearer ${token}` } }),
      }),
    [token],
  )
  useEffect(() => () => void client.dispose(), [client])
  const session = useMemo<Session>(
    () => ({
      token,
      signIn: setToken,
      signOut: () => setToken(undefined),
      ask: createAsk(token),
      refusals: createRefusals(),
    }),
    [token],
  )
  return (
    <SessionContext value={session}>
      <ListenqlProvider client={useMemo(() => showingClient(client), [client])}>{children}</ListenqlProvider>
    </SessionContext>
  )
}
