import { memo } from 'react'
import type { Order } from '../tables/view.js'
import type { GridColumn } from './grid-columns.js'

export interface GridHeadProps {
  /** The prefix of the ids of the cells. */
  readonly id: string
  readonly columns: readonly GridColumn[]
  readonly order: Order | undefined
  /** The active column; -1: none. */
  readonly active: number
  readonly onSort: (column: GridColumn) => void
}

/** The headings; a click sorts by the column. The grid handles the keys, so the buttons are no stops of the Tab key. */
export const GridHead = memo(function GridHead({ id, columns, order, active, onSort }: GridHeadProps) {
  return (
    <thead>
      <tr aria-rowindex={1}>
        {columns.map((column, index) => {
          const { field, name, title, isKey, isRight, hasComment, isSortable } = column
          const direction =
            order?.field !== field ? undefined : order.isDescending ? 'descending' : 'ascending'
          return (
            <th
              key={field}
              id={`${id}--1-${index}`}
              scope="col"
              title={title}
              aria-sort={direction}
              className={classes({ right: isRight, commented: hasComment })}
              data-active={index === active || undefined}
            >
              {isSortable ? (
                <button type="button" tabIndex={-1} onClick={() => onSort(column)}>
                  <Name name={name} isKey={isKey} />
                </button>
              ) : (
                <Name name={name} isKey={isKey} />
              )}
            </th>
          )
        })}
      </tr>
    </thead>
  )
})

function Name({ name, isKey }: { readonly name: string; readonly isKey: boolean }) {
  return (
    <>
      <span className="name">{name}</span>
      {isKey && (
        <>
          {' '}
          <small>key</small>
        </>
      )}
    </>
  )
}

const classes = (given: Readonly<Record<string, boolean>>) =>
  Object.keys(given)
    .filter(name => given[name])
    .join(' ') || undefined
