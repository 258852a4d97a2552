import { memo, useEffect, useRef, useState } from 'react'
import { LOG_FIELDS } from '../tables/change-log.js'
import type { Row } from '../tables/watched-table.js'
import { type GridColumn, isCut } from './grid-columns.js'
import { shownValue } from './shown-value.js'

export interface GridRowProps {
  readonly id: string
  /** Its number among all rows, the heading included. */
  readonly index: number
  readonly columns: readonly GridColumn[]
  /** The widths of the columns, in px. */
  readonly sizes: readonly number[]
  readonly row: Row
  /** It has just come. */
  readonly isFresh: boolean
  /** The active column; -1: none. */
  readonly active: number
  readonly onActive: (column: number) => void
  readonly onOpen: (row: Row, field: string) => void
}

/** A row whose changed cells light up for a moment. It is drawn again only if something of it has changed. */
export const GridRow = memo(
  function GridRow({ id, index, columns, sizes, row, isFresh, active, onActive, onOpen }: GridRowProps) {
    const lights = useLights(row, columns)
    // A row that was new stays lit until its animation has ended, also when other rows come.
    const [wasFresh] = useState(isFresh)
    const note = row[LOG_FIELDS.note]
    if (note !== undefined)
      return (
        <tr className="data" aria-rowindex={index}>
          <td className="note" colSpan={columns.length}>
            {String(note)}
          </td>
        </tr>
      )
    const isEmptied = row[LOG_FIELDS.change] === 'emptied'
    const shown = isEmptied ? columns.slice(0, 2) : columns
    return (
      <tr
        className="data"
        aria-rowindex={index}
        data-light={wasFresh ? 'fresh' : undefined}
        data-change={row[LOG_FIELDS.change] as string | undefined}
      >
        {shown.map((column, place) => (
          <GridCell
            key={column.field}
            id={`${id}-${place}`}
            column={column}
            width={sizes[place] ?? column.width}
            value={row[column.field]}
            light={lights[column.field]}
            isActive={place === active}
            onActive={() => onActive(place)}
            onOpen={() => onOpen(row, column.field)}
          />
        ))}
        {isEmptied && (
          <td className="soft" colSpan={columns.length - 2}>
            the whole table
          </td>
        )}
      </tr>
    )
  },
  (one, other) =>
    one.row === other.row &&
    one.columns === other.columns &&
    one.sizes === other.sizes &&
    one.active === other.active &&
    one.index === other.index,
)

interface GridCellProps {
  readonly id: string
  readonly column: GridColumn
  readonly width: number
  readonly value: unknown
  readonly light: string | undefined
  readonly isActive: boolean
  readonly onActive: () => void
  readonly onOpen: () => void
}

function GridCell({ id, column, width, value, light, isActive, onActive, onOpen }: GridCellProps) {
  const { kind, text } = column.field === LOG_FIELDS.at ? clockTime(value) : shownValue(value, column.type)
  const hasMore = isCut(text, width) || kind === 'json' || kind === 'hidden' || text.includes('\n')
  const Cell = column.isKey ? 'th' : 'td'
  return (
    <Cell
      id={id}
      scope={column.isKey ? 'row' : undefined}
      className={`${column.isRight ? 'right' : ''}${hasMore ? ' cut' : ''}`.trim() || undefined}
      data-kind={kind}
      data-light={light}
      data-active={isActive || undefined}
      onClick={onActive}
      onDoubleClick={onOpen}
    >
      <span className="text">{text}</span>
      {hasMore && (
        <button
          type="button"
          className="more"
          tabIndex={-1}
          aria-label={`Show all of ${column.name}`}
          onClick={onOpen}
        />
      )}
    </Cell>
  )
}

/** An animation restarts only under another name, so two names take turns. */
function useLights(row: Row, columns: readonly GridColumn[]): Readonly<Record<string, string>> {
  const before = useRef(row)
  const lights = useRef<Readonly<Record<string, string>>>({})
  if (before.current !== row) {
    const old = before.current
    const changed = columns.filter(({ field }) => old[field] !== row[field])
    const next = { ...lights.current }
    for (const { field } of changed) next[field] = next[field] === 'changed-a' ? 'changed-b' : 'changed-a'
    lights.current = next
  }
  useEffect(() => {
    before.current = row
  })
  return lights.current
}

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium', hourCycle: 'h23' })

function clockTime(value: unknown) {
  const date = new Date(String(value))
  return { kind: 'time', text: Number.isNaN(date.getTime()) ? String(value) : clock.format(date) }
}
