import type { Column } from '../postgres/types.js'

export interface TableColumn extends Column {
  readonly comment: string | null
  /** Its attnum: what grants are about, whatever the column is called by now. */
  readonly number: number
}

/** A watched table as the catalogue shows it, with all that a schema, a filter and a snapshot need to know. */
export interface WatchedTable {
  /** Oid as text: its topic in the event log. */
  readonly relid: string
  readonly schema: string
  readonly name: string
  readonly comment: string | null
  /** In the order of the table. */
  readonly columns: readonly TableColumn[]
  /** Names of the primary key's columns in the order of the key; none if it has no key that events can be told by. */
  readonly key: readonly string[]
  /** Events of one generation have the same columns. */
  readonly generation: number
  /** The generation since which nothing was missed: later ones only changed its columns. */
  readonly wholeFrom: number
  /**
   * By column, the generation since which its values mean what they do; '' is the key. Not those for which that is true since
   * `wholeFrom`. Default: none.
   */
  readonly columnFrom?: Readonly<Record<string, number>>
  /** Its history is whole from the end of this batch on: positions before it have expired for this table. */
  readonly since: { readonly n: number; readonly token: number }
  /** Whether our login may SELECT from it: changes come without, snapshots do not. */
  readonly readable: boolean
}
