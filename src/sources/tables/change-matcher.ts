import type { Images } from '../../filters/images.js'
import {
  type IndexKeys,
  indexKeys,
  type Predicate,
  type RowImage,
  toPredicate,
  type Work,
} from '../../filters/index.js'
import type { LogEvent } from '../../log/log-event.js'
import type { ChangeSelection } from './changes-request.js'
import type { RowOperation } from './row-change.js'

/**
 * Decides which changes a subscription selects: the operation is wanted, and the new row or the old one passes a test. TRUNCATE
 * passes every test. There are two tests of a row, a cheap one and the exact one.
 */
export interface ChangeMatcher extends ChangeSelection {
  /** Whether the operation is wanted. */
  wants(event: LogEvent): boolean
  /**
   * The cheap test: the row has the values that the filter's required equality conditions demand. It is true of every change
   * that `match` would select, even if some of the change's rows are hidden.
   *
   * It runs before it is known which rows the viewer may see. Therefore only the operation and those conditions decide, and no
   * other work depends on the rows: the result of the whole filter, or the time that it takes, could reveal hidden rows.
   */
  mayConcern(event: LogEvent, images: Images): boolean
  /**
   * The exact test: the row matches the filter.
   * @param images the rows as the viewer may see them
   * @returns the new row if it matches; null if only the old row does, or on TRUNCATE; undefined if the change is not selected
   * @throws LimitExceeded if the filter takes too much work; Undecided if it depends on a value that cannot be read
   */
  match(event: LogEvent, images: Images, work: Work): RowImage | null | undefined
}

/** The operation as clients see it. Undefined: the event is not a change of a table. */
export function operationOf({ operation }: LogEvent): RowOperation | undefined {
  switch (operation) {
    case 'I':
      return 'INSERT'
    case 'U':
      return 'UPDATE'
    case 'D':
      return 'DELETE'
    case 'T':
      return 'TRUNCATE'
    case 'N':
      return undefined
  }
}

export function createChangeMatcher({ filter, operations }: ChangeSelection): ChangeMatcher {
  /** Created on first use: it holds all operands of the filter, and only subscriptions under row-level security need it. */
  let required: readonly IndexKeys[] | undefined
  /** Undefined: every row matches. */
  const matches = filter.kind === 'and' && filter.filters.length === 0 ? undefined : toPredicate(filter)

  function hasRequiredKeys(image: RowImage): boolean {
    required ??= indexKeys(filter)
    return required.every(({ column, keys }) => {
      const key = image.key(column)
      return key !== null && keys.has(key)
    })
  }

  function wants(event: LogEvent): boolean {
    if (event.operation === 'N') return false
    return !operations || operations.includes(operationOf(event) as RowOperation)
  }

  function select(event: LogEvent, { row, old }: Images, test: Predicate | undefined, work?: Work) {
    if (!wants(event)) return undefined
    if (!test || event.operation === 'T') return row
    if (row && test(row, work)) return row
    return old && test(old, work) ? null : undefined
  }

  return {
    filter,
    operations,
    wants,
    mayConcern: (event, images) => select(event, images, hasRequiredKeys) !== undefined,
    match: (event, images, work) => select(event, images, matches, work),
  }
}
