import { useCallback, useEffect, useId, useMemo, useRef, useState } from 'react'
import { gridColumns } from '../grid/grid-columns.js'
import { LiveGrid } from '../grid/live-grid.js'
import { rowIds } from '../grid/row-id.js'
import { ValuePanel } from '../grid/value-panel.js'
import { useRefusal } from '../session/use-refusal.js'
import { CopyPanel } from './copy-panel.js'
import { FilterBar } from './filter-bar.js'
import { Pager } from './pager.js'
import { listStatus } from './table-status.js'
import { useDifferences } from './use-differences.js'
import { useIsAway } from './use-is-away.js'
import { type LiveTable, useLiveTable } from './use-live-table.js'
import { fitting, orderOf, type View } from './view.js'
import { nameOf, type Row, shownColumns, type WatchedTable } from './watched-table.js'

export interface TableViewProps {
  readonly table: WatchedTable
  readonly view: View
  /** The database cannot be followed at the moment. */
  readonly isStale: boolean
  readonly onView: (change: Partial<View>) => void
  /** Looks for an altered schema. */
  readonly onSchema: () => void
}

const SCHEMA_ERRORS = ['SCHEMA_CHANGED', 'GRAPHQL_VALIDATION_FAILED']
const WITHOUT_KEY =
  'This table has no primary key, so a change cannot be matched to its row. These are the changes as they arrive, newest first.'

/** One table, live: its rows, or its changes if it has no key. */
export function TableView({ table, view: given, isStale, onView, onSchema }: TableViewProps) {
  const view = useMemo(() => fitting(given, table), [given, table])
  const live = useLiveTable(table, view, useIsAway())
  const { rows, state, error, isLoaded, hasMore, refetch } = live
  const idOf = useMemo(() => rowIds(table), [table])
  const changes = useDifferences(rows, idOf, isLoaded ? live.shown : '')
  const columns = useColumns(table, live)
  const [opened, setOpened] = useState<{
    readonly id: string
    readonly title: string
    readonly field: string
  }>()
  const heading = useId()
  const status = listStatus(state, error, isStale, { loading: 'Reading the table…', live: 'Live' })
  useRefusal(`table ${table.queryField}`, nameOf(table), error)
  useEffect(() => {
    if (error && SCHEMA_ERRORS.includes(error.code ?? '')) onSchema()
  }, [error, onSchema])

  const open = useCallback(
    (row: Row, field: string) => {
      const key = table.key.map(each => String(row[each])).join(', ')
      setOpened({ id: idOf(row), title: `${nameOf(table)} ${key}`.trim(), field })
    },
    [table, idOf],
  )
  const isKeyed = table.key.length > 0
  return (
    <div className="table-view" data-state={status.state}>
      <header>
        <h3 id="table-name">{nameOf(table)}</h3>
        <p id="table-status" className="status" role="status">
          {status.text}
        </p>
        {state === 'failed' && (
          <button type="button" onClick={refetch}>
            Try again
          </button>
        )}
        <p id="table-count" className="count">
          {isLoaded && countOf(table, live, changes.seen)}
        </p>
      </header>
      {table.comment && <p className="note comment">{table.comment}</p>}
      {!isKeyed && <p className="note">{WITHOUT_KEY}</p>}
      <div className="toolbar">
        <FilterBar
          table={table}
          conditions={view.conditions}
          onChange={conditions => onView({ conditions, page: 0 })}
        />
        {isKeyed && <Pager view={view} count={rows.length} hasMore={hasMore} onChange={onView} />}
      </div>
      <span id={heading} className="visually-hidden">
        {nameOf(table)}
      </span>
      <LiveGrid
        labelledBy={heading}
        columns={columns}
        rows={rows}
        idOf={idOf}
        added={changes.added}
        order={isKeyed ? orderOf(table, view) : undefined}
        offset={view.size === 'all' ? 0 : view.page * view.size}
        onOrder={order => onView({ order, page: 0 })}
        onOpen={open}
      />
      {isLoaded && rows.length === 0 && <p className="placeholder">{emptyText(table, view)}</p>}
      <p id="table-more" className="note">
        {isLoaded && moreOf(table, live, view)}
      </p>
      <p className="visually-hidden" role="status">
        {changes.news}
      </p>
      <CopyPanel table={table} view={view} />
      {opened && (
        <ValuePanel
          title={opened.title}
          columns={columns}
          row={rows.find(row => idOf(row) === opened.id)}
          field={opened.field}
          onClose={() => setOpened(undefined)}
        />
      )}
    </div>
  )
}

/** The first rows decide how wide the columns are; after that, nothing moves. */
function useColumns(table: WatchedTable, { rows }: LiveTable) {
  const sample = useRef<{ readonly table: WatchedTable; readonly rows: readonly Row[] }>(undefined)
  if (sample.current?.table !== table || (sample.current.rows.length === 0 && rows.length > 0))
    sample.current = { table, rows }
  const { current } = sample
  return useMemo(() => gridColumns(table, current.rows), [table, current])
}

const numbers = new Intl.NumberFormat('en')

function countOf(table: WatchedTable, { rows, hasMore }: LiveTable, changes: number): string {
  const seen = changes === 1 ? '1 change seen' : `${numbers.format(changes)} changes seen`
  if (table.key.length === 0) return seen
  const count = rows.length === 1 ? '1 row' : `${numbers.format(rows.length)} rows`
  return `${hasMore ? `${count}, more follow` : count}, ${seen}`
}

function emptyText({ key }: WatchedTable, { conditions, page }: View): string {
  if (key.length === 0) return 'No change yet.'
  if (page > 0) return 'No rows on this page.'
  return conditions.length > 0
    ? 'No row matches the filter.'
    : 'No rows. Add one, and it appears here at once.'
}

function moreOf(table: WatchedTable, { rows, hasMore }: LiveTable, view: View): string {
  const notes: string[] = []
  const order = orderOf(table, view)
  if (hasMore && order)
    notes.push(
      `These are ${rows.length} rows by ${columnName(table, order.field)}, ${order.isDescending ? 'greatest' : 'smallest'} first. There are more.`,
    )
  const shown = shownColumns(table).length
  if (shown < table.columns.length) notes.push(`${shown} of ${table.columns.length} columns are shown.`)
  return notes.join(' ')
}

const columnName = ({ columns }: WatchedTable, field: string) =>
  columns.find(column => column.field === field)?.name ?? field
