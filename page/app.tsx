import { useListenqlStatus } from '../src/client/react/index.js'
import { Channels } from './channels/channels.js'
import { pageStatus } from './session/page-status.js'
import { RefusalLine } from './session/refusal-line.js'
import { useSession } from './session/session.js'
import { SignIn } from './session/sign-in.js'
import { useReadiness } from './session/use-readiness.js'
import { useViewerState } from './session/use-viewer-state.js'
import { Tables } from './tables/tables.js'

/** The page: tables first, channels beside or after them, and above both what the user has to know. */
export function App() {
  const { token } = useSession()
  const readiness = useReadiness()
  const connection = useListenqlStatus()
  const status = pageStatus(readiness, connection, useViewerState())
  const isStale = status.warning !== undefined
  return (
    <>
      <header className="top">
        <div className="bar">
          <img src="assets/favicon.svg" alt="" width="28" height="28" />
          <h1>listenql</h1>
          <p className="status page-status" role="status" data-tone={status.tone}>
            {status.text}
          </p>
          <nav aria-label="GraphiQL">
            <a href="graphql">GraphiQL</a>
            <a href="graphql?transport=ws">GraphiQL over WebSocket</a>
          </nav>
          <SignIn />
        </div>
        <RefusalLine />
      </header>
      <div role="alert">{status.warning && <p className="warning">{status.warning}</p>}</div>
      {/* Nothing of one viewer stays for another. */}
      <main key={token ?? ''}>
        <Tables isStale={isStale} />
        <Channels isStale={isStale} />
      </main>
    </>
  )
}
