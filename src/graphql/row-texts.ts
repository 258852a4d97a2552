import type { ExecutionResult } from 'graphql'
import { JsonText, stringifyJson } from '../filters/index.js'
import { isRecord } from '../lib/is-record.js'
import type { RowList, RowLists } from '../sources/row-lists.js'

/** Lists with fewer rows in all are executed as a whole, and keep no texts. */
const MIN_ROWS = 16

/** Rows that are executed together: each execution costs as much as a few rows. */
const ROWS_AT_ONCE = 32

/** Executes an operation on states, and keeps the texts of rows for the next state. */
export interface RowTexts<Event> {
  /** Executes the operation on some rows of the state. @returns whether `execute` now has little left to do */
  prepare(event: Event, isOver: () => boolean): boolean
  /** Returns the result for a state. Its lists may be JsonText. */
  execute(event: Event): ExecutionResult
}

/** The texts of one row: one for each field of the operation that shows its list. */
type Texts = readonly string[]

/**
 * A row that did not change keeps its text, so that a change costs what the changed rows cost (bench/row-texts.ts: of 1,000 rows with 60 values, one of which changed, 3.6 ms instead of 41 ms). States with errors are
 * executed as a whole, since the path of an error contains the position of the row.
 * @param execute executes the operation on a state
 */
export function createRowTexts<Event>(
  { of, replace }: RowLists<Event>,
  execute: (event: Event) => ExecutionResult,
): RowTexts<Event> {
  /** For each list: the texts of the rows of the last state and of the present one, by the row as Postgres wrote it. */
  let known: Map<string, Texts>[] = []
  let present: Progress<Event> | undefined

  function begin(event: Event): Progress<Event> {
    const lists = of(event)
    const size = lists.reduce((sum, { rows }) => sum + rows.length, 0)
    const isWhole = size < MIN_ROWS || lists.some(({ rows }) => rows.some(({ text }) => text === undefined))
    known = isWhole ? [] : lists.map((_, i) => known[i] ?? new Map())
    return { event, lists, missing: isWhole ? [] : lists.map(({ rows }, i) => missingOf(rows, i)), isWhole }
  }
  function missingOf(rows: RowList['rows'], list: number): RowList['rows'][number][] {
    const missing = new Map(rows.map(row => [row.text, row]))
    for (const text of missing.keys()) if (known[list]?.has(text as string)) missing.delete(text)
    return [...missing.values()].reverse() // taken from the end
  }

  /** @returns whether rows without a text are left */
  function advance(progress: Progress<Event>): boolean {
    const list = progress.missing.findIndex(rows => rows.length > 0)
    const rows = progress.missing[list]?.splice(-ROWS_AT_ONCE)
    if (!rows) return false
    const { data, errors } = execute(only(progress, list, rows))
    if (errors) {
      progress.isWhole = true
      return false
    }
    const { object, keys } = fieldsOf(data, progress.lists[list] as RowList)
    for (const [i, { text }] of rows.entries()) {
      const texts = keys.map(key => stringifyJson((object[key] as unknown[])[i]))
      known[list]?.set(text as string, texts)
    }
    return progress.missing.some(({ length }) => length > 0)
  }
  /** @param list none: the state without rows */
  function only({ event, lists }: Progress<Event>, list?: number, rows: RowList['rows'] = []): Event {
    return replace(
      event,
      lists.map((_, i) => (i === list ? rows : [])),
    )
  }
  function prepare(event: Event, isOver: () => boolean): boolean {
    if (present?.event !== event) present = begin(event)
    while (!present.isWhole && advance(present)) if (isOver()) return false
    return true
  }

  return {
    prepare,
    execute(event) {
      prepare(event, () => false)
      const { lists, isWhole } = present as Progress<Event>
      const result = isWhole ? undefined : execute(only(present as Progress<Event>))
      present = undefined
      if (!result || result.errors) {
        known = []
        return execute(event)
      }
      for (const [i, list] of lists.entries()) {
        const kept = new Map(list.rows.map(({ text = '' }) => [text, known[i]?.get(text) ?? []]))
        const { object, keys } = fieldsOf(result.data, list)
        for (const [place, key] of keys.entries())
          object[key] = new JsonText(
            `[${list.rows.map(({ text = '' }) => kept.get(text)?.[place]).join(',')}]`,
          )
        known[i] = kept
      }
      return result
    },
  }
}

/** A state of which some rows may have been executed. */
interface Progress<Event> {
  readonly event: Event
  readonly lists: readonly RowList[]
  /** The rows of each list that have no text yet. */
  readonly missing: readonly RowList['rows'][number][][]
  /** Whether the state is executed as a whole. */
  isWhole: boolean
}

/** The fields of a result that show a list: an object, and the keys of its lists in the order of the operation. */
function fieldsOf(data: ExecutionResult['data'], { path }: RowList) {
  let object: unknown = Object.values(data ?? {})[0]
  for (const key of path) object = isRecord(object) ? object[key] : undefined
  if (!isRecord(object)) return { object: {}, keys: [] }
  return { object, keys: Object.keys(object).filter(key => Array.isArray(object[key])) }
}
