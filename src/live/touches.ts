import type { RowImage } from '../filters/index.js'
import { remoteKey } from './link-key.js'
import type { LiveCondition, LiveNode } from './live-node.js'

/** A change of one row. Both are null on TRUNCATE. */
export interface RowImages {
  readonly row: RowImage | null
  readonly old: RowImage | null
}

/** What a query holds of a node: for one row above, or of the root. */
export interface Held {
  /** The key of the row above; undefined: any row may be linked. */
  readonly key: string | undefined
  /** The last row of a list that is full up to its limit; undefined: the list is not full. */
  readonly last: RowImage | undefined
}

/** Whether the images do not show all values of the row: then the change may concern every query of the table. */
export function isUnclear({ row, old }: RowImages): boolean {
  return row?.hasUnreadable === true || old?.hasUnreadable === true
}

/**
 * Whether a change of a row, whose images show all values, can show in what is held of a node. True where it cannot be known.
 *
 * A row concerns the node before or after the change if it is linked to the row above and may match the filter. If it concerns it both
 * before and after, only the columns that the node uses matter. A list that is full up to its limit does not show rows after its last
 * one, wherever they are before and after the change.
 * @param isSeenAlike whether policies decide alike about the row before and after the change. Default: there are none
 */
export function touches(
  live: LiveNode,
  { key, last }: Held,
  { row, old }: RowImages,
  isSeenAlike = true,
): boolean {
  const concerns = (image: RowImage | null): image is RowImage =>
    image !== null &&
    (key === undefined || !live.link || remoteKey(live.link, image) === key) &&
    live.matches(image)
  const isNow = concerns(row)
  const wasBefore = concerns(old)
  if (!isNow && !wasBefore) return false
  if (isNow && wasBefore && isSeenAlike && isSame(live.used, row, old)) return false
  const { compare } = live
  if (last && compare) {
    const isAfter = (image: RowImage) => compare(image, last) > 0
    if ((!isNow || isAfter(row)) && (!wasBefore || isAfter(old))) return false
  }
  return true
}

/**
 * Whether a change of a row, whose images show all values, can decide which rows fulfil a condition on linked rows.
 * @param isSeenAlike as in `touches`
 */
export function sways(
  { link, matches, used }: LiveCondition,
  { row, old }: RowImages,
  isSeenAlike = true,
): boolean {
  const isNow = row !== null && matches(row)
  const wasBefore = old !== null && matches(old)
  if (!isNow && !wasBefore) return false
  if (!isNow || !wasBefore || !isSeenAlike) return true
  // By text, since values of some links have no key.
  const linking = link.pairs.map(({ remote }) => remote.name)
  return !isSame(linking, row, old) || !isSame(used, row, old)
}

function isSame(columns: readonly string[], a: RowImage, b: RowImage): boolean {
  return columns.every(name => a.json(name) === b.json(name))
}
