import { useEffect, useId, useRef } from 'react'
import { CopyButton } from '../parts/copy-button.js'
import type { Row } from '../tables/watched-table.js'
import type { GridColumn } from './grid-columns.js'
import { shownValue } from './shown-value.js'

export interface ValuePanelProps {
  /** Names the row. */
  readonly title: string
  readonly columns: readonly GridColumn[]
  /** As it is now; undefined: it is gone from the list. */
  readonly row: Row | undefined
  /** The column that the user has chosen. */
  readonly field: string
  readonly onClose: () => void
}

/** All values of a row in full, as they are now. The browser keeps the focus in the dialog and gives it back; Escape closes it. */
export function ValuePanel({ title, columns, row, field, onClose }: ValuePanelProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  const chosen = useRef<HTMLDivElement>(null)
  const id = useId()
  useEffect(() => {
    dialog.current?.showModal()
    chosen.current?.scrollIntoView({ block: 'nearest' })
  }, [])
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes it, too.
    <dialog
      ref={dialog}
      className="values"
      aria-labelledby={id}
      onClose={onClose}
      onClick={event => event.target === dialog.current && dialog.current.close()}
    >
      <div className="values-body">
        <header>
          <h3 id={id}>{title}</h3>
          <button type="button" onClick={() => dialog.current?.close()}>
            Close
          </button>
        </header>
        {!row && <p className="note">This row is no longer in the list. These are its last values.</p>}
        <KeptRow columns={columns} row={row} field={field} chosen={chosen} />
      </div>
    </dialog>
  )
}

interface KeptRowProps extends Pick<ValuePanelProps, 'columns' | 'row' | 'field'> {
  readonly chosen: React.RefObject<HTMLDivElement | null>
}

function KeptRow({ columns, row, field, chosen }: KeptRowProps) {
  const last = useRef<Row>({})
  useEffect(() => {
    if (row) last.current = row
  })
  const values = row ?? last.current
  return (
    <div className="values-list">
      {columns.map(column => {
        const { kind, whole } = shownValue(values[column.field], column.type)
        const isChosen = column.field === field
        return (
          <div
            key={column.field}
            className="value"
            ref={isChosen ? chosen : undefined}
            data-chosen={isChosen || undefined}
          >
            <h4>
              {column.name} {!column.type.startsWith(' ') && <small>{column.type}</small>}
            </h4>
            <pre data-kind={kind}>{whole}</pre>
            {isChosen && <CopyButton label={column.name} text={whole} />}
          </div>
        )
      })}
    </div>
  )
}
