import type { RowImage } from './row-image.js'

/** The old and the new row of an event, parsed for filters. */
export interface Images {
  readonly row: RowImage | null
  readonly old: RowImage | null
}
