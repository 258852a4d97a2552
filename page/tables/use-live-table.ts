import { useEffect, useMemo, useRef } from 'react'
import { useLiveQuery, useLiveRows } from '../../src/client/react/index.js'
import { type LiveResult, useLiveStore } from '../../src/client/react/use-live-store.js'
import { changeLog } from './change-log.js'
import { changesDocument, pageDocument, rowsDocument } from './documents.js'
import { compareRows } from './row-order.js'
import type { View } from './view.js'
import type { Row, WatchedTable } from './watched-table.js'

/** The rows of a table that a view shows, kept up to date. */
export interface LiveTable extends Omit<LiveResult, 'refetch'> {
  readonly rows: readonly Row[]
  /** Whether more rows follow after those of the page. */
  readonly hasMore: boolean
  /** Which table and view the rows belong to: those of before stay until others have arrived. */
  readonly shown: string
  refetch(): void
}

type Result = { readonly [field: string]: { readonly rows: readonly Row[] } }
type Changes = { readonly [field: string]: { readonly row: Row | null } }

/**
 * - A page is a live query: the server sorts and cuts, however large the table is, and sends the page anew when it has changed.
 * - `all` follows the changes: a live query has at most 1,000 rows and sends all of them for each change.
 * - A table without a key has changes only.
 *
 * @param isPaused nothing is subscribed; the rows stay as they are
 */
export function useLiveTable(table: WatchedTable, view: View, isPaused: boolean): LiveTable {
  const { key, queryField } = table
  const isAll = view.size === 'all'
  const of = (isWanted: boolean, write: () => string) => (isWanted && !isPaused ? write() : null)
  const query = of(key.length > 0 && !isAll, () => pageDocument(table, view, 1))
  const rows = of(key.length > 0 && isAll, () => rowsDocument(table, view))
  const changes = of(key.length === 0, () => changesDocument(table, view))
  const compare = useMemo(() => compareRows(table, view), [table, view.order])

  const page = useLiveQuery<Result>(query)
  const all = useLiveRows<Changes>(rows, { compare })
  const log = useLiveStore(
    {
      key: changes === null ? undefined : JSON.stringify(['change log', changes]),
      kind: undefined,
      create: client => changeLog(client, changes as string),
      empty: NO_ROWS,
    },
    undefined,
  )
  const given = page.data?.[queryField]?.rows ?? NO_ROWS.rows
  const size = isAll ? Number.POSITIVE_INFINITY : Number(view.size)
  const pageRows = useMemo(() => (given.length > size ? given.slice(0, size) : given), [given, size])
  const shown = JSON.stringify([query ?? rows ?? changes, view.order])

  const live = query !== null ? page : rows !== null ? all : log
  const present: LiveTable = {
    ...live,
    rows: query !== null ? pageRows : rows !== null ? (all.rows as readonly Row[]) : log.rows,
    hasMore: query !== null && given.length > size,
    shown,
  }
  return useKept(present, queryField)
}

/** The rows of before with the state of now, until those of another view of the same table have arrived. */
function useKept(present: LiveTable, field: string): LiveTable {
  const last = useRef<{ readonly field: string; readonly table: LiveTable }>(undefined)
  useEffect(() => {
    if (present.isLoaded) last.current = { field, table: present }
  })
  const { state, since, error, refetch } = present
  // Rows of before are no answer to a view that is refused.
  if (present.isLoaded || state === 'failed' || last.current?.field !== field) return present
  return { ...last.current.table, state: state === 'loading' ? 'catching-up' : state, since, error, refetch }
}

const NO_ROWS: { readonly rows: readonly Row[] } = { rows: [] }
