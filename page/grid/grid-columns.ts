import { LOG_FIELDS } from '../tables/change-log.js'
import { isSortable } from '../tables/view.js'
import { type Column, isNumeric, type Row, shownColumns, type WatchedTable } from '../tables/watched-table.js'
import { shownValue } from './shown-value.js'

/** A column of the grid. */
export interface GridColumn {
  readonly field: string
  readonly name: string
  /** The type in GraphQL; of the columns of a log, a word of its own. */
  readonly type: string
  /** The tooltip of the heading. */
  readonly title: string
  readonly hasComment: boolean
  readonly isKey: boolean
  readonly isRight: boolean
  readonly isSortable: boolean
  /** In px. */
  readonly width: number
}

/** The font of the cells is monospaced: 13.2 px, of which a character is 0.6 wide. */
export const CHARACTER_PX = 8
const PADDING_PX = 26
const SORT_PX = 18
const MIN_CHARACTERS = 5
const MAX_CHARACTERS = 30
/** So many rows decide how wide a column is. */
const SAMPLE = 50

/** @param sample rows, of which the first ones decide how wide the columns are */
export function gridColumns(table: WatchedTable, sample: readonly Row[]): readonly GridColumn[] {
  const isLog = table.key.length === 0
  const columns = shownColumns(table).map(column => gridColumn(column, table, sample, !isLog))
  return isLog ? [...LOG_COLUMNS, ...columns] : columns
}

function gridColumn(
  column: Column,
  { key }: WatchedTable,
  sample: readonly Row[],
  canSort: boolean,
): GridColumn {
  const { field, name, type, comment, isKey } = column
  const graphql = `${field}: ${type}${isKey ? (key.length > 1 ? `\nPart of the primary key (${key.join(', ')})` : '\nThe primary key') : ''}`
  const longest = Math.max(0, ...sample.slice(0, SAMPLE).map(row => shownValue(row[field], type).text.length))
  const heading = name.length + (isKey ? 5 : 0)
  return {
    field,
    name,
    type,
    title: comment === null ? graphql : `${graphql}\n${comment}`,
    hasComment: comment !== null,
    isKey,
    isRight: isNumeric(column),
    isSortable: canSort && isSortable(column),
    width: Math.max(widthOf(longest), widthOf(heading) + SORT_PX),
  }
}

function widthOf(characters: number): number {
  return Math.min(MAX_CHARACTERS, Math.max(MIN_CHARACTERS, characters)) * CHARACTER_PX + PADDING_PX
}

/** A key as wide as a UUID would leave no room for anything else on a narrow screen. */
const MAX_KEY_SHARE = 0.38

/** The widths of the columns in a box, in px: the last one has the room that is left. */
export function sizesOf(columns: readonly GridColumn[], boxWidth: number): readonly number[] {
  const widestKey = Math.max(90, Math.round(boxWidth * MAX_KEY_SHARE))
  const sizes = columns.map(({ width, isKey }) => (isKey ? Math.min(width, widestKey) : width))
  const free = Math.max(0, boxWidth - sizes.reduce((sum, size) => sum + size, 0))
  return sizes.map((size, index) => (index === sizes.length - 1 ? size + free : size))
}

/** Whether a cell cuts a text. The panel shows all of it. */
export const isCut = (text: string, width: number) =>
  text.length * CHARACTER_PX + PADDING_PX > width + CHARACTER_PX / 2

const logColumn = (field: string, name: string, characters: number): GridColumn => ({
  field,
  name,
  type: field,
  title: name,
  hasComment: false,
  isKey: false,
  isRight: false,
  isSortable: false,
  width: widthOf(characters),
})

const LOG_COLUMNS = [logColumn(LOG_FIELDS.at, 'time', 9), logColumn(LOG_FIELDS.change, 'change', 9)]
