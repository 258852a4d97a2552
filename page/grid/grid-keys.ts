/** A cell; the heading is row -1. */
export interface Place {
  readonly row: number
  readonly column: number
}

/** The size of a grid. */
export interface Extent {
  readonly rows: number
  readonly columns: number
  /** Rows in sight. */
  readonly page: number
}

/** Where a key leads, as in the grid pattern of the ARIA practices; undefined: it is no key for moving. */
export function nextPlace(
  key: string,
  { row, column }: Place,
  { rows, columns, page }: Extent,
): Place | undefined {
  const at = (nextRow: number, nextColumn: number): Place => ({
    row: Math.max(-1, Math.min(rows - 1, nextRow)),
    column: Math.max(0, Math.min(columns - 1, nextColumn)),
  })
  switch (key) {
    case 'ArrowUp':
      return at(row - 1, column)
    case 'ArrowDown':
      return at(row + 1, column)
    case 'ArrowLeft':
      return at(row, column - 1)
    case 'ArrowRight':
      return at(row, column + 1)
    case 'PageUp':
      return at(Math.max(row < 0 ? -1 : 0, row - page), column)
    case 'PageDown':
      return at(row + page, column)
    case 'Home':
      return at(row, 0)
    case 'End':
      return at(row, columns - 1)
  }
}
