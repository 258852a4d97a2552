import { rowSortingFeature, tableFeatures, useTable } from '@tanstack/react-table'
import { useVirtualizer } from '@tanstack/react-virtual'
import { type KeyboardEvent, useCallback, useEffect, useId, useMemo, useRef } from 'react'
import type { Order } from '../tables/view.js'
import type { Row } from '../tables/watched-table.js'
import { type GridColumn, sizesOf } from './grid-columns.js'
import { GridHead } from './grid-head.js'
import { nextPlace } from './grid-keys.js'
import { GridRow } from './grid-row.js'
import { useActivePlace } from './use-active-place.js'
import { useOverflow } from './use-overflow.js'

export interface LiveGridProps {
  /** The id of the heading. */
  readonly labelledBy: string
  readonly columns: readonly GridColumn[]
  readonly rows: readonly Row[]
  readonly idOf: (row: Row) => string
  /** Rows that have just come. */
  readonly added: ReadonlySet<string>
  readonly order: Order | undefined
  /** How many rows come before the first one, on earlier pages. */
  readonly offset: number
  readonly onOrder: (order: Order) => void
  /** Shows a value in full. */
  readonly onOpen: (row: Row, field: string) => void
}

export const ROW_PX = 33
const OVERSCAN = 6
const features = tableFeatures({ rowSortingFeature })

/**
 * Rows and columns of a table, of which only those in sight are in the document. The key stays in sight while the others scroll. One
 * stop of the Tab key: the arrow keys move the active cell, Enter shows its value in full, or sorts by its column.
 */
export function LiveGrid(props: LiveGridProps) {
  const { labelledBy, columns, rows, idOf, added, order, offset, onOrder, onOpen } = props
  const box = useRef<HTMLDivElement>(null)
  const overflow = useOverflow(box)
  const sizes = useMemo(() => sizesOf(columns, overflow.width), [columns, overflow.width])
  const definitions = useMemo(
    () =>
      columns.map(({ field, isSortable }) => ({
        id: field,
        accessorFn: (row: Row) => row[field],
        enableSorting: isSortable,
      })),
    [columns],
  )
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => box.current,
    estimateSize: () => ROW_PX,
    overscan: OVERSCAN,
    scrollPaddingStart: ROW_PX,
  })
  const sorting = useMemo(
    () => (order ? [{ id: order.field, desc: order.isDescending }] : []),
    [order?.field, order?.isDescending],
  )
  const items = virtual.getVirtualItems()
  const first = items[0]?.index ?? 0
  const table = useTable({
    features,
    columns: definitions,
    // Only those in sight: the model has an object for each row, and makes all of them anew for each change.
    data: useMemo(() => rows.slice(first, first + items.length), [rows, first, items.length]),
    getRowId: idOf,
    manualSorting: true,
    enableSortingRemoval: false,
    sortDescFirst: false,
    state: { sorting },
    onSortingChange(change) {
      const [next] = typeof change === 'function' ? change(sorting) : change
      if (next) onOrder({ field: next.id, isDescending: next.desc })
    },
  })
  const model = table.getRowModel().rows
  const present = useRef(table)
  useEffect(() => {
    present.current = table
  })
  const sort = useCallback(({ field, isSortable }: GridColumn) => {
    if (isSortable) present.current.getColumn(field)?.toggleSorting()
  }, [])
  const id = useId()
  const [active, setActive] = useActivePlace({
    box,
    sizes,
    pinned: columns[0]?.isKey ? 1 : 0,
    rowCount: rows.length,
    virtual,
  })

  function onKeyDown(event: KeyboardEvent) {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const next = nextPlace(event.key, active, {
      rows: rows.length,
      columns: columns.length,
      page: pageOf(box.current),
    })
    if (next) setActive(next)
    else if (event.key === 'Enter' || event.key === ' ') open(active.row, active.column)
    else return
    event.preventDefault()
  }
  function open(rowIndex: number, columnIndex: number) {
    const column = columns[columnIndex]
    const row = rows[rowIndex]
    if (rowIndex < 0 && column) sort(column)
    else if (row && column) onOpen(row, column.field)
  }

  const isDrawn = active.row < 0 || (active.row >= first && active.row < first + items.length)
  const before = items[0]?.start ?? 0
  const after = Math.max(0, virtual.getTotalSize() - (items.at(-1)?.end ?? 0))
  return (
    <div className="grid-frame" data-more={overflow.sides}>
      <div className="grid-box" ref={box}>
        <table
          // biome-ignore lint/a11y/noNoninteractiveElementToInteractiveRole: a table becomes a grid by its role.
          role="grid"
          aria-labelledby={labelledBy}
          aria-rowcount={offset + rows.length + 1}
          aria-colcount={columns.length}
          aria-activedescendant={isDrawn ? `${id}-${active.row}-${active.column}` : undefined}
          tabIndex={0}
          onKeyDown={onKeyDown}
          style={{ width: sizes.reduce((sum, size) => sum + size, 0) }}
        >
          <colgroup>
            {sizes.map((size, index) => (
              <col key={columns[index]?.field} style={{ width: size }} />
            ))}
          </colgroup>
          <GridHead
            id={id}
            columns={columns}
            order={order}
            active={active.row < 0 ? active.column : -1}
            onSort={sort}
          />
          <tbody>
            {before > 0 && <Space height={before} />}
            {items.map(({ index }) => {
              const row = model[index - first]
              return (
                row && (
                  <GridRow
                    key={row.id}
                    id={`${id}-${index}`}
                    index={offset + index + 2}
                    columns={columns}
                    sizes={sizes}
                    row={row.original}
                    isFresh={added.has(row.id)}
                    active={active.row === index ? active.column : -1}
                    onActive={column => setActive({ row: index, column })}
                    onOpen={onOpen}
                  />
                )
              )
            })}
            {after > 0 && <Space height={after} />}
          </tbody>
        </table>
      </div>
    </div>
  )
}

/** Stands for the rows out of sight. */
function Space({ height }: { readonly height: number }) {
  return (
    <tr className="space">
      <td style={{ height }} />
    </tr>
  )
}

const pageOf = (box: HTMLElement | null) => Math.max(1, Math.floor((box?.clientHeight ?? 0) / ROW_PX) - 2)
