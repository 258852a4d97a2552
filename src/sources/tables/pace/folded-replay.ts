import type { Replay } from '../../resume.js'
import type { RowChange } from '../row-change.js'
import { Fold, type FoldOptions } from './fold.js'
import type { Window } from './window.js'

interface FoldedPage {
  readonly last: RowChange | undefined
  readonly count: number
  readonly folded: readonly RowChange[]
}

/**
 * The past of changes that are delivered in windows: each page is folded, and nothing that the present window holds back counts as
 * delivered.
 */
export function createFoldedReplay(
  replay: Replay<RowChange>,
  fold: FoldOptions,
  window: () => Window | undefined,
): Replay<RowChange> {
  // A client that resumes may have been cut off between the changes of a window.
  const foldPage = createPageFolder({ ...fold, mayHaveRows: true })
  return {
    ...replay,
    start: () => window()?.deliveredTo ?? replay.start(),
    split: at => window()?.split(at),
    async read(after, signal, account) {
      const page = await replay.read(after, signal, account)
      return { ...page, events: foldPage(page.events) }
    },
  }
}

/**
 * Folds the changes of each page of the past. Subscribers that read the same page get the same objects, so that their group renders
 * each change once.
 */
function createPageFolder(options: FoldOptions): (changes: readonly RowChange[]) => readonly RowChange[] {
  const pages = new WeakMap<RowChange, FoldedPage>()
  return changes => {
    const first = changes[0]
    if (!first) return changes
    const last = changes.at(-1)
    const known = pages.get(first)
    if (known && known.last === last && known.count === changes.length) return known.folded
    const fold = new Fold(options)
    for (const change of changes) fold.add(change)
    const folded = fold.changes()
    pages.set(first, { last, count: changes.length, folded })
    return folded
  }
}
