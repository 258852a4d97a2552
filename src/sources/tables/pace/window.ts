import type { RunSliced } from '../../../lib/slices.js'
import { comparePositions, type Position } from '../../../log/position.js'
import type { Follower } from '../../source.js'
import type { RowChange } from '../row-change.js'
import { Fold, type FoldOptions } from './fold.js'
import type { WindowBudget } from './window-budget.js'

export interface WindowOptions extends FoldOptions {
  /** Length of a window, in ms. */
  readonly every: number
  /** Gets the folded changes. */
  readonly follower: Follower<RowChange>
  /** Every change up to here has been delivered or is held back, and none after it. */
  readonly position: () => Position
  /** Of all windows together. */
  readonly budget: WindowBudget
  /** Runs the deliveries of windows that end at the same time. */
  readonly runSliced: RunSliced
}

/** Holds the live changes of a follower back, and folds them, within windows of time. */
export interface Window {
  /** Follows in the place of the follower. */
  readonly follower: Follower<RowChange>
  /** Everything up to here has been delivered. Undefined: nothing is held back. */
  readonly deliveredTo: Position | undefined
  /** See `Replay.split`. */
  split(at: Position): void
  flush(): void
  /** Drops what is held back. */
  stop(): void
}

/** Most rows of one window, and most characters of their images. Beyond that it is delivered early. */
const MAX_WINDOW_ROWS = 5000
const MAX_WINDOW_CHARACTERS = 4 * 2 ** 20

/** Memory of a row beside its images: 5,000 rows took 1.75 MB of heap (`process.memoryUsage()` before and after one full window). */
const ROW_BYTES = 350

/**
 * A window begins with the first change after the one before, and ends `every` ms later. It has one fold, except where a subscriber has
 * joined the live changes in the middle of it, after a position up to which it has read the log: then no folded change may combine
 * changes before and after that position, and another fold begins.
 */
export function createWindow(options: WindowOptions): Window {
  const { every, follower, position, budget, runSliced } = options
  let folds: Fold[] = []
  let bytes = 0
  /** Whether another fold begins with the next change. */
  let isSplit = false
  /** Positions ahead of the live changes after which another fold begins, in order. */
  let ahead: Position[] = []
  let deliveredTo: Position | undefined
  let timer: NodeJS.Timeout | undefined

  function takeFolds(): Fold[] {
    clearTimeout(timer)
    timer = undefined
    deliveredTo = undefined
    isSplit = false
    budget.change(-bytes)
    bytes = 0
    const taken = folds
    folds = []
    return taken
  }

  function flush(): void {
    for (const fold of takeFolds()) for (const change of fold.changes()) follower.event(change)
  }

  /** The fold that a change at this position belongs to. */
  function foldAt(at: Position): Fold {
    for (let next = ahead[0]; next && comparePositions(at, next) > 0; next = ahead[0]) {
      ahead.shift()
      isSplit = true
    }
    const present = isSplit ? undefined : folds.at(-1)
    isSplit = false
    if (present) return present
    const begun = new Fold(options)
    folds.push(begun)
    return begun
  }

  /** @returns whether the changes may still be held back */
  function account(): boolean {
    let rows = 0
    let characters = 0
    for (const fold of folds) {
      rows += fold.size
      characters += fold.characters
    }
    const now = rows * ROW_BYTES + characters
    const isRoom = budget.change(now - bytes)
    bytes = now
    return isRoom && rows <= MAX_WINDOW_ROWS && characters <= MAX_WINDOW_CHARACTERS
  }

  return {
    follower: {
      event(change) {
        deliveredTo ??= position()
        foldAt(change.position).add(change)
        if (account()) timer ??= setTimeout(() => runSliced(flush), every)
        else flush()
      },
      end(error) {
        // A viewer that has lost the right gets nothing more, also of the time before.
        if (error.code === 'FORBIDDEN') takeFolds()
        else flush()
        follower.end(error)
      },
      account: follower.account,
      continuesAfter: follower.continuesAfter,
    },
    get deliveredTo() {
      return deliveredTo
    },
    split(at) {
      const live = position()
      const isPast = (one: Position) => comparePositions(one, live) <= 0
      if ([at, ...ahead].some(isPast)) isSplit ||= folds.length > 0
      ahead = ahead.filter(one => !isPast(one))
      if (isPast(at)) return
      if (!ahead.some(one => comparePositions(one, at) === 0)) ahead = [...ahead, at].sort(comparePositions)
    },
    flush,
    stop: () => void takeFolds(),
  }
}
