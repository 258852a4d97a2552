import { useCallback, useEffect, useRef, useState } from 'react'
import { share } from '../../src/client/store/share.js'
import { SubscriptionError } from '../../src/client/subscription/subscription-error.js'
import { useSession } from '../session/session.js'
import { tablesQuery, type WatchedTable } from './watched-table.js'

/** The watched tables that the viewer may use. */
export interface WatchedTables {
  /** Undefined until they are known. A table that was not altered is the same object as before. */
  readonly tables: readonly WatchedTable[] | undefined
  /** Why they are not known at the moment. */
  readonly error: SubscriptionError | undefined
  /** Looks at once. */
  refresh(): void
}

/** The server has the list in memory: asking for it costs no database query. */
const INTERVAL_MS = 5_000
const RETRY_MS = 1_000
/** The answer to an early retry would be the same error, so after one of these codes the page waits INTERVAL_MS. */
const REFUSALS: readonly (string | undefined)[] = ['DOCUMENT_NOT_TRUSTED', 'FORBIDDEN', 'UNAUTHENTICATED']

/** Asks while the tab is visible, so that tables appear that are watched, unwatched or altered meanwhile. */
export function useWatchedTables(): WatchedTables {
  const { ask } = useSession()
  const [found, setFound] = useState<Omit<WatchedTables, 'refresh'>>({ tables: undefined, error: undefined })
  const look = useRef<() => void>(() => {})
  useEffect(() => {
    let isOver = false
    let timer: ReturnType<typeof setTimeout> | undefined
    let isAsking = false
    look.current = async () => {
      clearTimeout(timer)
      if (isAsking || isOver) return
      isAsking = true
      let delay = INTERVAL_MS
      try {
        const { watchedTables } = await ask<{ readonly watchedTables: readonly WatchedTable[] }>(tablesQuery)
        if (!isOver) setFound(before => settled(before, share(before.tables, watchedTables), undefined))
      } catch (cause) {
        const error = cause instanceof SubscriptionError ? cause : new SubscriptionError(cause)
        const isRefused = REFUSALS.includes(error.code)
        if (!isRefused) delay = RETRY_MS
        if (!isOver) setFound(before => settled(before, isRefused ? undefined : before.tables, error))
      }
      isAsking = false
      if (!isOver && !document.hidden) timer = setTimeout(look.current, delay)
    }
    const onVisible = () => {
      if (!document.hidden) look.current()
    }
    document.addEventListener('visibilitychange', onVisible)
    look.current()
    return () => {
      isOver = true
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', onVisible)
    }
  }, [ask])
  return { ...found, refresh: useCallback(() => look.current(), []) }
}

type Found = Omit<WatchedTables, 'refresh'>

function settled(before: Found, tables: Found['tables'], error: Found['error']): Found {
  const isSameError = before.error?.code === error?.code && before.error?.message === error?.message
  return before.tables === tables && isSameError ? before : { tables, error }
}
