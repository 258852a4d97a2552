import type { Virtualizer } from '@tanstack/react-virtual'
import { type RefObject, useState } from 'react'
import type { Place } from './grid-keys.js'

export interface ActivePlaceOptions {
  readonly box: RefObject<HTMLDivElement | null>
  /** The widths of the columns, in px. */
  readonly sizes: readonly number[]
  /** How many columns do not scroll. */
  readonly pinned: number
  readonly rowCount: number
  readonly virtual: Pick<Virtualizer<HTMLDivElement, Element>, 'scrollToIndex'>
}

/** The active cell, and a function that moves it and scrolls it into sight. */
export function useActivePlace(options: ActivePlaceOptions): [Place, (place: Place) => void] {
  const { box, sizes, pinned, rowCount, virtual } = options
  const [place, setPlace] = useState<Place>({ row: 0, column: 0 })
  const present: Place = {
    row: Math.min(place.row, rowCount - 1),
    column: Math.min(place.column, Math.max(0, sizes.length - 1)),
  }
  function move(next: Place): void {
    setPlace(next)
    if (next.row >= 0 && next.row !== present.row) virtual.scrollToIndex(next.row, { align: 'auto' })
    const { current } = box
    if (!current || next.column < pinned) return
    const sum = (count: number) => sizes.slice(0, count).reduce((total, size) => total + size, 0)
    const left = sum(next.column) - sum(pinned)
    const right = sum(next.column + 1) - current.clientWidth
    if (current.scrollLeft > left) current.scrollLeft = left
    else if (current.scrollLeft < right) current.scrollLeft = right
  }
  return [present, move]
}
