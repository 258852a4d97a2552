import type { RowImage } from './row-image.js'

/** The rows of an event, as a filter reads them. */
export interface Images {
  readonly row: RowImage | null
  readonly old: RowImage | null
}
