// The policies that decide which rows a live query shows: which changes can make rows visible, or hide them.
import type { TableColumn } from '../catalog/watched-table.js'
import type { RowImage } from '../filters/index.js'
import type { Stop } from '../lib/stop.js'
import { refusalOf } from '../rls/policy-images.js'
import type { RowImages } from './touches.js'

/** The columns of a table that decide. Undefined: any change of a row may. */
export type DecidingColumns = readonly TableColumn[] | undefined

export interface LivePolicies {
  /** The tables that policies read. */
  readonly read: ReadonlyMap<string, DecidingColumns>
  /** Whether a change of a row may decide about other rows, because a policy reads it. */
  decides(relid: string, images: RowImages): boolean
  /** Whether the policies of its own table decide alike about the row before and after the change, whatever they read beside it. */
  isSeenAlike(relid: string, images: RowImages): boolean
  /** Whether the policies of its own table can decide on its images alone, beside the tables that they read, whether the viewer sees a row. */
  canDecide(relid: string, images: RowImages): boolean
}

/** The policies as they are now. */
export interface PolicySource {
  readonly now: LivePolicies
  /** Calls `changed` whenever they may show other rows without a change of a table. */
  follow(changed: () => void): Stop
}

/**
 * @param own the columns of the tables of a plan by which policies decide about the row itself; a table without policies is left out
 * @param read the tables that policies read
 */
export function createLivePolicies(
  own: ReadonlyMap<string, DecidingColumns>,
  read: ReadonlyMap<string, DecidingColumns>,
): LivePolicies {
  return {
    read,
    decides: (relid, { row, old }) => read.has(relid) && !areAlike(read.get(relid), row, old),
    isSeenAlike: (relid, { row, old }) => !own.has(relid) || areAlike(own.get(relid), row, old),
    canDecide(relid, { row, old }) {
      return own.get(relid)?.every(column => isClear(column, row) && isClear(column, old)) ?? false
    },
  }
}

function areAlike(columns: DecidingColumns, row: RowImage | null, old: RowImage | null): boolean {
  if (!row || !old || !columns) return false
  return columns.every(column => isSurelySame(column, row, old))
}

function isSurelySame(column: TableColumn, row: RowImage, old: RowImage): boolean {
  return row.json(column.name) === old.json(column.name) && isClear(column, row) && isClear(column, old)
}

/** A text does not say which value it stands for if that cannot be read, is the name of an object, or may be NULL or a JSON null. */
function isClear(column: TableColumn, image: RowImage | null): boolean {
  if (!image) return true
  const { name, category, notNull } = column
  if (refusalOf(column) !== undefined || image.unreadable(name) !== undefined) return false
  return category !== 'json' || notNull || image.json(name) !== 'null'
}
