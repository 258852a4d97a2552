import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import type { Document } from '../document.js'
import {
  type ChangeOf,
  createRowFeed,
  type RowFeed,
  type RowFeedListener,
  type RowFeedOptions,
  textWithInitial,
} from '../rows/row-feed.js'
import type { LiveSnapshot } from '../store/live-store.js'
import type { FeedStatus } from '../subscription/feed-status.js'
import { useListenqlClient } from './provider.js'
import type { HookOptions, LiveResult } from './use-live-store.js'

/** The functions that `useRowFeed` calls, as those of `createRowFeed`. */
export type UseRowFeedListener<Change> = Pick<RowFeedListener<Change>, 'rows' | 'changes'>

/** Options of `useRowFeed`. */
export type UseRowFeedOptions<Data, Variables> = HookOptions &
  Omit<RowFeedOptions<Data, Variables>, 'changes'>

/**
 * Calls functions with the rows of a table, or of a filter, and then with every change: for trails, charts and maps, which need more than
 * the present rows that `useLiveRows` keeps. Each component has a subscription of its own, from mounting to unmounting. Other variables
 * replace it: `rows` is called again, and until then the state is `catching-up`.
 *
 * @param changes as of `createRowFeed`; nothing is subscribed while it is null or undefined
 * @param listener its functions may be others at each rendering; the newest are called
 * @throws TypeError if the document does not contain the argument `initial`
 */
export function useRowFeed<Data, Variables extends object = Record<string, unknown>>(
  changes: Document<Data, Variables> | null | undefined,
  listener: UseRowFeedListener<ChangeOf<Data>>,
  { client: given, ...followed }: UseRowFeedOptions<Data, Variables> = {},
): LiveResult {
  const client = useListenqlClient(given)
  const text = changes ? textWithInitial(changes) : undefined
  const [snapshot, setSnapshot] = useState(idle)
  const newest = useRef(listener)
  const feed = useRef<RowFeed>(undefined)
  useEffect(() => {
    newest.current = listener
  })
  // `followed` belongs to `key`: another object with the same contents is no reason to subscribe again.
  const key = JSON.stringify(followed)
  useEffect(() => {
    if (text === undefined) return setSnapshot(idle)
    let isOver = false
    const created = createRowFeed<Data, Variables>(
      client,
      { ...followed, changes: text },
      {
        rows: rows => newest.current.rows(rows),
        changes: (batch, transaction) => newest.current.changes(batch, transaction),
        status(status) {
          if (!isOver) setSnapshot(before => next(before, status))
        },
      },
    )
    feed.current = created
    setSnapshot(before => next(before, created.status))
    return () => {
      isOver = true
      feed.current = undefined
      created.dispose()
    }
  }, [client, text, key])
  const refetch = useCallback(() => feed.current?.refetch(), [])
  return useMemo(() => ({ ...snapshot, refetch }), [snapshot, refetch])
}

function idle(): LiveSnapshot {
  return { state: 'loading', since: new Date(), error: undefined, isLoaded: false }
}

/** A feed becomes `live` once it has delivered its rows. Until then, those of the feed before it are shown. */
function next({ isLoaded }: LiveSnapshot, { state, since, error }: FeedStatus): LiveSnapshot {
  return {
    state: state === 'loading' && isLoaded ? 'catching-up' : state,
    since,
    error,
    isLoaded: isLoaded || state === 'live',
  }
}
