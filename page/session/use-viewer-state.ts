import { useSyncExternalStore } from 'react'
import type { ViewerState } from './page-status.js'
import type { Refusal } from './refusals.js'
import { useSession } from './session.js'

const OF_THE_VIEWER = ['UNAUTHENTICATED', '4401', '4403']

/** Whether the server accepts the viewer, as far as the newest refusal tells. */
export function useViewerState(): ViewerState {
  const { refusals, token } = useSession()
  const refusal = useSyncExternalStore(refusals.subscribe, refusals.getSnapshot)
  if (!refusal || !isOfTheViewer(refusal)) return 'accepted'
  return token === undefined ? 'missing' : 'refused'
}

/** A role that may not be used may not even know the tables. */
function isOfTheViewer({ code, about }: Refusal): boolean {
  return OF_THE_VIEWER.includes(code ?? '') || (code === 'FORBIDDEN' && about === WATCHED_TABLES)
}

/** What the list of tables is called in a refusal. */
export const WATCHED_TABLES = 'watched tables'
