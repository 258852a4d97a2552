import { useDeferredValue, useEffect, useId, useRef, useState } from 'react'
import { nameOf, type WatchedTable } from './watched-table.js'

export interface TablePickerProps {
  readonly tables: readonly WatchedTable[]
  readonly chosen: WatchedTable
  readonly onChoose: (table: WatchedTable) => void
}

/** With fewer tables, a look is quicker than a search. */
const SEARCH_FROM = 6

/** The tables to choose from, with a search over names, columns and comments. */
export function TablePicker({ tables, chosen, onChoose }: TablePickerProps) {
  const [text, setText] = useState('')
  const wanted = useDeferredValue(text).trim().toLowerCase()
  const id = useId()
  const list = useRef<HTMLFieldSetElement>(null)
  useEffect(() => {
    list.current
      ?.querySelector(':checked')
      ?.parentElement?.scrollIntoView({ block: 'nearest', inline: 'nearest' })
  }, [chosen.queryField])
  const found = wanted === '' ? tables : tables.filter(table => matches(table, wanted))
  return (
    <nav className="picker" aria-label="Watched tables">
      {tables.length >= SEARCH_FROM && (
        <div className="search">
          <label className="visually-hidden" htmlFor={id}>
            Search tables
          </label>
          <input
            id={id}
            type="search"
            placeholder={`Search ${tables.length} tables`}
            value={text}
            spellCheck={false}
            onChange={event => setText(event.target.value)}
          />
        </div>
      )}
      <fieldset ref={list}>
        <legend className="visually-hidden">Table to show</legend>
        {found.map(table => (
          <label key={table.queryField}>
            <input
              type="radio"
              name="table"
              value={table.queryField}
              checked={table.queryField === chosen.queryField}
              onChange={() => onChoose(table)}
            />
            {nameOf(table)}
          </label>
        ))}
      </fieldset>
      <p className="soft" role="status">
        {found.length === 0 && 'No table matches.'}
      </p>
    </nav>
  )
}

/** Names before columns and comments would surprise: the order stays that of the list. */
function matches(table: WatchedTable, wanted: string): boolean {
  const texts = [nameOf(table), table.comment ?? '', ...table.columns.map(column => column.name)]
  return texts.some(text => text.toLowerCase().includes(wanted))
}
