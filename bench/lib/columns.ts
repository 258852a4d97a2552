import { formatTable } from '../../src/lib/table.js'
import { median } from './statistics.js'

/** `1.2`, `12`: more digits would exceed the precision of a noisy machine. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return '-'
  const size = Math.abs(value)
  return value.toFixed(size >= 99.5 ? 0 : size >= 9.95 ? 1 : 2)
}

/** `12 ms`, `3.1 s`. */
export function time(ms: number): string {
  return ms >= 9995 ? `${short(ms / 1000)} s` : `${short(ms)} ms`
}

export function whole(value: number): string {
  return Number.isFinite(value) ? Math.round(value).toLocaleString('en-US') : '-'
}

export function part(value: number): string {
  return Number.isFinite(value) ? `${Math.round(value * 100)} %` : '-'
}

type Rounds<R> = readonly (R | undefined)[]

/** The median over the rounds. */
export function middle<R>(rounds: Rounds<R>, value: (result: R) => number): number {
  return median(rounds.flatMap(result => (result === undefined ? [] : [value(result)])))
}

/** `1.4 (1.2-1.6)`: the median of the ratios to another variant in the same round, with the smallest and the largest ratio. */
export function ratio<R>(
  rounds: Rounds<R>,
  base: Rounds<R> | undefined,
  value: (result: R) => number,
): string {
  const ratios = rounds.flatMap((result, i) => {
    const other = base?.[i]
    if (result === undefined || other === undefined) return []
    const of = value(result) / value(other)
    return Number.isFinite(of) ? [of] : [] // no ratio to a variant that delivered nothing
  })
  if (ratios.length === 0) return ''
  const range = ratios.length > 1 ? ` (${short(Math.min(...ratios))}-${short(Math.max(...ratios))})` : ''
  return short(median(ratios)) + range
}

/** The first column is text, the others are numbers. */
export function table(names: readonly string[], rows: readonly (readonly string[])[]): string {
  return formatTable(
    names.map((name, i) => ({ name, align: i === 0 ? ('left' as const) : ('right' as const) })),
    rows,
  )
}
