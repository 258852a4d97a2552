import type { RowImage } from '../../../filters/index.js'
import { keyText } from '../delivered-rows.js'
import type { RowChange } from '../row-change.js'

export interface FoldOptions {
  /** Names of the primary key's columns. None: changes cannot be assigned to rows, and each stays by itself. */
  readonly key: readonly string[]
  /** Whether the subscription wants UPDATE, which a DELETE and an INSERT become. */
  readonly wantsUpdate: boolean
  /**
   * Whether the subscriber may have a row although its first change here is an INSERT: it was cut off between the changes of a window, or it
   * gets no DELETE. Then a row that is gone at the end is removed. Otherwise the subscriber has never seen it, and nothing is delivered.
   */
  readonly mayHaveRows: boolean
}

/** The changes of one row: what is needed of the first, and the last. */
interface Row {
  readonly wasInserted: boolean
  readonly old: RowImage | null
  readonly isSingle: boolean
  /** Without its own old image, unless it is the only change. */
  readonly last: RowChange
}

/** A row's key is a JSON array, a change by itself has a number. */
const WHOLE_TABLE = 'truncate'

/**
 * Folds changes in the order of the log: one change is left of each row, with the position and the new image of the row's last change and
 * the old image of its first. The changes are in the order of these positions. So a client that has applied them up to any of them, and
 * then applies the changes after that position, has the same rows as the table.
 *
 * INSERT and UPDATE are an INSERT; INSERT and DELETE are nothing (see `mayHaveRows`); UPDATE and DELETE are a DELETE; DELETE and INSERT are
 * an UPDATE. TRUNCATE replaces everything before it.
 */
export class Fold {
  readonly #options: FoldOptions
  /** In the order of the last changes. */
  readonly #rows = new Map<string, Row>()
  #singles = 0
  #characters = 0

  constructor(options: FoldOptions) {
    this.#options = options
  }

  /** The number of rows that have changed, and of changes that stay by themselves. */
  get size(): number {
    return this.#rows.size
  }

  /** The characters of the images that are kept. */
  get characters(): number {
    return this.#characters
  }

  add(change: RowChange): void {
    if (change.operation === 'TRUNCATE') {
      this.#rows.clear()
      this.#characters = 0
    }
    const key = this.#keyOf(change)
    const known = this.#rows.get(key)
    if (!known) {
      const old = change.fault ? null : change.old
      const wasInserted = change.operation === 'INSERT' && change.row !== null
      this.#rows.set(key, { wasInserted, old, isSingle: true, last: change })
      this.#characters += sizeOf(change.old) + sizeOf(change.row)
      return
    }
    this.#characters += sizeOf(change.row) - sizeOf(known.last.row)
    this.#rows.delete(key)
    this.#rows.set(key, { ...known, isSingle: false, last: { ...change, old: null } })
  }

  /** The folded changes. */
  changes(): RowChange[] {
    return [...this.#rows.values()].flatMap(row => foldRow(row, this.#options) ?? [])
  }

  #keyOf({ operation, key }: RowChange): string {
    if (operation === 'TRUNCATE') return WHOLE_TABLE
    const names = this.#options.key
    const isKnown = key && names.length > 0 && names.every(name => key.unreadable(name) === undefined)
    return isKnown ? keyText(names, key) : String(this.#singles++)
  }
}

/** Undefined: the subscriber has not seen the row, and it is gone. */
function foldRow(
  { wasInserted, old, isSingle, last }: Row,
  { wantsUpdate, mayHaveRows }: FoldOptions,
): RowChange | undefined {
  if (isSingle) return last
  if (wasInserted) {
    if (last.row) return { ...last, operation: 'INSERT' }
    return mayHaveRows || last.fault ? last : undefined
  }
  const isReplaced = last.operation === 'INSERT'
  if (isReplaced && !wantsUpdate) return last
  return { ...last, operation: isReplaced ? 'UPDATE' : last.operation, old }
}

function sizeOf(image: RowImage | null): number {
  return image?.size ?? 0
}
