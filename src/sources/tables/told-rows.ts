import type { Images } from '../../filters/images.js'
import type { RowImage } from '../../filters/index.js'
import { ListenqlError } from '../../lib/errors.js'
import type { LogEvent } from '../../log/log-event.js'
import { comparePositions, type Position } from '../../log/position.js'

/** Most rows that a viewer may see of a table whose policies read it, in one subscription. */
export const MAX_TOLD_ROWS = 10_000

/**
 * What a subscriber has of a row: its last version; an older one, since the last was replaced before it could be judged; or
 * nothing.
 */
type State = 'shown' | 'held' | 'hidden'

/** Rows as `select` shows them to the viewer, by `keyText`, in a snapshot that is no older than the events in question. */
export type PresentRows = ReadonlyMap<string, RowImage>

/** What of a change may be told. */
export type Telling =
  | { readonly kind: 'images'; readonly images: Images; readonly wasThere: boolean }
  /** The row is no longer visible: only its key is given. */
  | { readonly kind: 'removal' }
  | { readonly kind: 'nothing' }

/**
 * What is told of the changes of a table whose policies read the table itself. Such policies answer about the present: about a
 * row as it was before they know nothing. A new version is shown if `select` shows exactly that; an old one if it was there
 * when the subscription began, or was shown by it since.
 */
export interface ToldRows {
  /** The next change in the order of the log. @param allowed what the policies let through by now */
  next(event: LogEvent, images: Images, allowed: Images, present: PresentRows): Telling
  /**
   * To be called once, with the images of the changes between the snapshot of `base` and now: unless `next` was called for
   * them, what was there before is not known.
   */
  settle(changes: readonly Images[]): void
}

/** What a viewer saw when a subscription began. */
export interface ToldBase {
  /** Names of the key's columns, and of those that the viewer may read. */
  readonly key: readonly string[]
  readonly readable: readonly string[]
  /** The keys of the rows that were there, by `keyText`, in a snapshot at this position of the log. */
  readonly keys: readonly string[]
  readonly position: Position
}

export function createToldRows({ key, readable, keys, position }: ToldBase): ToldRows {
  const states = new Map<string, State>(keys.map(one => [one, 'shown']))
  let seen: Set<string> | undefined = new Set()
  let wasTruncated = false

  function put(of: string, state: State): void {
    seen?.add(of)
    if (state === 'hidden') states.delete(of)
    else states.set(of, state)
    if (states.size > MAX_TOLD_ROWS) throw tooMany()
  }

  return {
    next(event, images, allowed, present) {
      // In the snapshot already: what was there before it is not known, and may have been shown: by an earlier source, before the
      // schema was built again, or before the cursor that the subscriber came back with.
      if (comparePositions(event.position, position) <= 0)
        return tellPast(key, readable, images, allowed, present)
      const image = images.row ?? images.old
      if (!image) {
        if (event.operation === 'T') {
          states.clear()
          wasTruncated = true
        }
        return { kind: 'images', images, wasThere: false }
      }
      const of = keyText(key, image)
      const before = states.get(of) ?? 'hidden'
      const now = present.get(of)
      const row = images.row && now && isSame(images.row, now, readable) ? images.row : null
      if (images.row && now && !row) {
        if (before !== 'hidden') put(of, 'held') // a later change tells of the row that is there now
        return { kind: 'nothing' }
      }
      put(of, row ? 'shown' : 'hidden')
      const old = before === 'shown' ? images.old : null
      if (row || old) return { kind: 'images', images: { row, old }, wasThere: before !== 'hidden' }
      return before === 'held' || allowed.old ? { kind: 'removal' } : { kind: 'nothing' }
    },
    settle(changes) {
      const known = seen ?? new Set()
      seen = undefined
      if (wasTruncated) return
      for (const { row, old } of changes) {
        const image = row ?? old
        if (!image) for (const of of [...states.keys()]) if (!known.has(of)) states.delete(of)
        const of = image && keyText(key, image)
        if (of !== null && !known.has(of)) states.delete(of)
      }
    },
  }
}

/**
 * The same for one page of the past, where it is not known what was there.
 * @throws ListenqlError CURSOR_EXPIRED if a row is gone that may have been there
 */
export function tellPast(
  key: readonly string[],
  readable: readonly string[],
  images: Images,
  allowed: Images,
  present: PresentRows,
): Telling {
  const telling = tellUnknown(key, readable, images, allowed, present)
  if (telling) return telling
  throw new ListenqlError(
    'CURSOR_EXPIRED',
    'since this cursor a row has left the table or the sight of its policies, and whether this viewer saw it is not known',
    {
      hint: 'the policies of this table read the table itself: read a snapshot, and subscribe after its cursor',
    },
  )
}

/** Undefined: a row is gone that may have been there. */
function tellUnknown(
  key: readonly string[],
  readable: readonly string[],
  images: Images,
  allowed: Images,
  present: PresentRows,
): Telling | undefined {
  const image = images.row ?? images.old
  if (!image) return { kind: 'images', images, wasThere: false }
  const now = present.get(keyText(key, image))
  const row = images.row && now && isSame(images.row, now, readable) ? images.row : null
  if (row) return { kind: 'images', images: { row, old: null }, wasThere: images.old !== null }
  if (now || !images.old) return { kind: 'nothing' } // a later change tells of it
  return allowed.old ? { kind: 'removal' } : undefined
}

export function keyText(key: readonly string[], image: RowImage): string {
  return JSON.stringify(key.map(name => image.json(name)))
}

function isSame(a: RowImage, b: RowImage, columns: readonly string[]): boolean {
  return columns.every(name => a.json(name) === b.json(name))
}

export function tooMany(): ListenqlError {
  return new ListenqlError(
    'LIMIT_EXCEEDED',
    `the policies of this table read the table itself, and more than ${MAX_TOLD_ROWS} of its rows are to be seen`,
    { hint: 'see Row-level security in docs/security.md' },
  )
}
