import { useSyncExternalStore } from 'react'
import { useSession } from './session.js'

const OF_THE_VIEWER = ['UNAUTHENTICATED', '4401', '4403']

/** Whether the server refuses the viewer itself, so that there is no connection though the server can be reached. */
export function useIsRefused(): boolean {
  const { refusals } = useSession()
  return useSyncExternalStore(refusals.subscribe, () => {
    const code = refusals.getSnapshot()?.code
    return code !== undefined && OF_THE_VIEWER.includes(code)
  })
}
