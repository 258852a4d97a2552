import { type RefObject, useEffect, useState } from 'react'

/** What a box that scrolls hides. */
export interface Overflow {
  /** On which sides there is more: words of the attribute `data-more`. */
  readonly sides: string
  /** The width of the box, in px; 0 at first. */
  readonly width: number
}

export function useOverflow(box: RefObject<HTMLElement | null>): Overflow {
  const [overflow, setOverflow] = useState<Overflow>({ sides: '', width: 0 })
  useEffect(() => {
    const { current } = box
    if (!current) return
    const look = () => {
      const { scrollLeft, scrollWidth, clientWidth } = current
      const sides = [scrollLeft > 1 && 'left', scrollLeft + clientWidth < scrollWidth - 1 && 'right']
      const next = { sides: sides.filter(Boolean).join(' '), width: clientWidth }
      setOverflow(before => (before.sides === next.sides && before.width === next.width ? before : next))
    }
    const observer = new ResizeObserver(look)
    observer.observe(current)
    if (current.firstElementChild) observer.observe(current.firstElementChild)
    current.addEventListener('scroll', look, { passive: true })
    return () => {
      observer.disconnect()
      current.removeEventListener('scroll', look)
    }
  }, [box])
  return overflow
}
