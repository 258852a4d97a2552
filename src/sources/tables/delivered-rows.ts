import type { Images } from '../../filters/images.js'
import type { RowImage } from '../../filters/index.js'
import { ListenqlError } from '../../lib/errors.js'
import type { LogEvent } from '../../log/log-event.js'
import { comparePositions, type Position } from '../../log/position.js'

/** Limit for one subscription: most rows that a viewer may see of a table whose policies read the table itself. */
export const MAX_DELIVERED_ROWS = 10_000

/**
 * What the subscription has delivered of a row. `shown`: its latest version. `held`: an older version, because the latest one was
 * replaced before the policies could be checked for it. `hidden`: nothing.
 */
type State = 'shown' | 'held' | 'hidden'

/** Rows as `select` returns them to the viewer, by `keyText`. Their snapshot is no older than the events that they are compared with. */
export type PresentRows = ReadonlyMap<string, RowImage>

/** What may be delivered of a change. */
export type Deliverable =
  /** These rows. `wasThere`: the subscriber has, or may have, a version of the row. */
  | { readonly kind: 'images'; readonly images: Images; readonly wasThere: boolean }
  /** The row is no longer visible: only its key is given. */
  | { readonly kind: 'removal' }
  | { readonly kind: 'nothing' }

/**
 * Tracks which row versions one subscription has delivered of a table whose policies read the table itself. Such policies can be
 * checked for the present only, not for a row as it was. So a new version is delivered only if `select` returns exactly that version,
 * and an old version only if the viewer could see it when the subscription began or the subscription has delivered it since.
 */
export interface DeliveredRows {
  /**
   * What may be delivered of an event. Must be called for each event, in the order of the log.
   * @param images the unrestricted rows
   * @param allowed the rows that the policies allow at the time of the call; the others are null
   * @param present rows that the viewer sees now, among them the row of this event if it is visible
   * @throws ListenqlError CURSOR_EXPIRED as `deliverableOfPast`, for events up to the first snapshot; LIMIT_EXCEEDED if the viewer sees
   * more than MAX_DELIVERED_ROWS rows
   */
  next(event: LogEvent, images: Images, allowed: Images, present: PresentRows): Deliverable
  /**
   * Must be called once, when the subscription has begun.
   * @param changes the rows of the events between the first snapshot and the first event that is passed to `next`. It is unknown what
   * the viewer saw of those rows, except of rows for which `next` has been called meanwhile
   */
  settle(changes: readonly Images[]): void
}

/** What the viewer saw when the subscription began. */
export interface DeliveredRowsStart {
  /** Names of the primary key's columns. */
  readonly key: readonly string[]
  /** Names of the columns that the viewer may read. */
  readonly readable: readonly string[]
  /** The keys of the rows that the viewer saw, as `keyText` writes them. */
  readonly keys: readonly string[]
  /** The position in the log of the snapshot that `keys` was read in. */
  readonly position: Position
}

export function createDeliveredRows({ key, readable, keys, position }: DeliveredRowsStart): DeliveredRows {
  const states = new Map<string, State>(keys.map(one => [one, 'shown']))
  let seen: Set<string> | undefined = new Set()
  let wasTruncated = false

  function put(of: string, state: State): void {
    seen?.add(of)
    if (state === 'hidden') states.delete(of)
    else states.set(of, state)
    if (states.size > MAX_DELIVERED_ROWS) throw tooMany()
  }

  return {
    next(event, images, allowed, present) {
      // The snapshot contains this event, so it is unknown what the viewer saw before the event. A former source may have delivered
      // the row before a change of the schema.
      if (comparePositions(event.position, position) <= 0)
        return deliverableOfPast(key, readable, images, allowed, present)
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
        if (before !== 'hidden') put(of, 'held') // the row that is there now is delivered with a later event
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
 * Decides what a replay delivers of an event, when it is unknown which rows the viewer saw before.
 * @param key names of the primary key's columns
 * @param readable names of the columns that the viewer may read
 * @param images, allowed, present as in `DeliveredRows.next`
 * @throws ListenqlError CURSOR_EXPIRED if the row is gone, and the viewer may have seen it
 */
export function deliverableOfPast(
  key: readonly string[],
  readable: readonly string[],
  images: Images,
  allowed: Images,
  present: PresentRows,
): Deliverable {
  const deliverable = deliverableOrUnknown(key, readable, images, allowed, present)
  if (deliverable) return deliverable
  throw new ListenqlError(
    'CURSOR_EXPIRED',
    'since this cursor a row was deleted or hidden by the policies of the table, and it is unknown whether this viewer saw it',
    {
      hint: 'the policies of this table read the table itself: read a snapshot, and subscribe after its cursor',
    },
  )
}

/** Undefined: the row is gone, and the viewer may have seen it. */
function deliverableOrUnknown(
  key: readonly string[],
  readable: readonly string[],
  images: Images,
  allowed: Images,
  present: PresentRows,
): Deliverable | undefined {
  const image = images.row ?? images.old
  if (!image) return { kind: 'images', images, wasThere: false }
  const now = present.get(keyText(key, image))
  const row = images.row && now && isSame(images.row, now, readable) ? images.row : null
  if (row) return { kind: 'images', images: { row, old: null }, wasThere: images.old !== null }
  if (now || !images.old) return { kind: 'nothing' } // the row is delivered with a later event
  return allowed.old ? { kind: 'removal' } : undefined
}

/** The primary key of a row as text, for comparing rows. @param key names of its columns */
export function keyText(key: readonly string[], image: RowImage): string {
  return JSON.stringify(key.map(name => image.json(name)))
}

function isSame(a: RowImage, b: RowImage, columns: readonly string[]): boolean {
  return columns.every(name => a.json(name) === b.json(name))
}

/** LIMIT_EXCEEDED: the viewer sees more than MAX_DELIVERED_ROWS rows. */
export function tooMany(): ListenqlError {
  return new ListenqlError(
    'LIMIT_EXCEEDED',
    `the policies of this table read the table itself, and the viewer sees more than ${MAX_DELIVERED_ROWS} of its rows`,
    { hint: 'see Row-level security in docs/security.md' },
  )
}
