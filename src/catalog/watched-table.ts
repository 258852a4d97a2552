import type { Column } from '../postgres/types.js'
import type { ForeignKey } from './foreign-keys.js'

export interface TableColumn extends Column {
  readonly comment: string | null
  /** Its attnum, by which grants refer to it, even after it is renamed. */
  readonly number: number
}

/** A watched table in the catalogue, with everything that a schema, a filter and a snapshot need. */
export interface WatchedTable {
  /** Oid as text: its topic in the event log. */
  readonly relid: string
  readonly schema: string
  readonly name: string
  readonly comment: string | null
  /** In the order of the table. */
  readonly columns: readonly TableColumn[]
  /** Names of the primary key's columns in the order of the key; empty if it has no key that identifies rows in events. */
  readonly key: readonly string[]
  /** Its foreign keys that reference watched tables, itself included. Default: none. */
  readonly foreignKeys?: readonly ForeignKey[]
  /** Events of one generation have the same columns. */
  readonly generation: number
  /** The generation since which no event was missed: later ones only changed its columns. */
  readonly wholeFrom: number
  /**
   * By column, the generation since which its values have their present meaning; '' is the key. Columns with the same meaning since
   * `wholeFrom` are left out. Default: none.
   */
  readonly columnFrom?: Readonly<Record<string, number>>
  /** Its history is complete from the end of this batch on: earlier positions have expired for this table. */
  readonly since: { readonly n: number; readonly token: number }
  /** Whether the login may SELECT from it: changes do not need that, snapshots do. */
  readonly readable: boolean
}

/** The name of a table for people and clients: without its schema, if that is `public`. */
export function tableTitle({ schema, name }: Pick<WatchedTable, 'schema' | 'name'>): string {
  return schema === 'public' ? name : `${schema}.${name}`
}
