import { useCallback } from 'react'
import { useAddress } from '../address/use-address.js'
import { CodeLine } from '../parts/code-line.js'
import { AWAY } from '../session/ask.js'
import { useRefusal } from '../session/use-refusal.js'
import { WATCHED_TABLES } from '../session/use-viewer-state.js'
import { sentence } from '../session/what-to-do.js'
import { WATCH_LINE } from './lines.js'
import { TablePicker } from './table-picker.js'
import { TableView } from './table-view.js'
import { useWatchedTables } from './use-watched-tables.js'
import { FIRST_VIEW, type View } from './view.js'

/** The server or the database is away: the status of the page says so, and the page tries again. */
const PASSING: readonly (string | undefined)[] = [AWAY, 'DATABASE_FAILED']

/** The watched tables: the list of them, and the chosen one. */
export function Tables({ isStale }: { readonly isStale: boolean }) {
  const { tables, error, refresh } = useWatchedTables()
  const [{ table: chosenField, view }, change] = useAddress()
  useRefusal('tables', WATCHED_TABLES, PASSING.includes(error?.code) ? undefined : error)
  const chosen = tables?.find(({ queryField }) => queryField === chosenField) ?? tables?.[0]
  const changeView = useCallback(
    (next: Partial<View>) => change({ view: { ...view, ...next } }),
    [change, view],
  )
  return (
    <section id="tables" className="panel" aria-labelledby="tables-heading">
      <h2 id="tables-heading">Watched tables, live</h2>
      {tables === undefined && (
        <p className="placeholder" role="status">
          {error === undefined
            ? 'Looking for tables…'
            : error.code === AWAY
              ? 'Reconnecting…'
              : sentence(error.message)}
        </p>
      )}
      {tables?.length === 0 && (
        <>
          <p className="placeholder">
            No table is watched yet. Watch one, and its rows appear here as they change.
          </p>
          <ul className="code-lines">
            <CodeLine {...WATCH_LINE} />
          </ul>
        </>
      )}
      {tables && chosen && (
        <div className="tables">
          {tables.length > 1 && (
            <TablePicker
              tables={tables}
              chosen={chosen}
              onChoose={({ queryField }) => change({ table: queryField, view: FIRST_VIEW })}
            />
          )}
          <TableView
            key={chosen.queryField}
            table={chosen}
            view={view}
            isStale={isStale}
            onView={changeView}
            onSchema={refresh}
          />
        </div>
      )}
    </section>
  )
}
