// Which viewers see a changed row: asks the policies before queries are read, since most changes of a table with policies are of rows
// that most viewers do not see.
import { type Viewer, viewerKey } from '../auth/viewer.js'
import type { WatchedTable } from '../catalog/watched-table.js'
import type { RowImage } from '../filters/index.js'
import { delay } from '../lib/abort.js'
import { ListenqlError } from '../lib/errors.js'
import type { CheckVisibility, Visibility } from '../rls/visibility.js'
import type { RowImages } from './touches.js'

/** Asks whether viewers see a changed row, before or after the change. */
export interface RowDecisions<Asker> {
  /**
   * @param isSeenAlike whether the policies decide alike about the row before and after the change
   * @param askers each with its viewer, who needs a role
   * @param decided called once for each asker, possibly before `ask` returns: true also if it cannot be known
   */
  ask(
    table: WatchedTable,
    images: RowImages,
    isSeenAlike: boolean,
    askers: readonly Asker[],
    decided: (asker: Asker, isVisible: boolean) => void,
  ): void
}

export interface RowDecisionsOptions<Asker> {
  readonly checkVisibility: CheckVisibility
  readonly viewerOf: (asker: Asker) => Viewer
  /** Ends all requests; their askers get no decision any more. */
  readonly signal: AbortSignal
  /** Most decisions that wait, of one asker about one change each: beyond that, askers get a yes. Default: 1,000,000, 8 MB. */
  readonly maxWaiting?: number
}

interface Pending<Asker> {
  readonly table: WatchedTable
  readonly images: RowImages
  isSeenAlike: boolean
  readonly asked: {
    readonly askers: readonly Asker[]
    readonly decided: (asker: Asker, isVisible: boolean) => void
  }[]
}

/** Most changes of one request. */
const MAX_CHANGES = 250

/**
 * Pause after a request, as a multiple of its duration: the reads of the queries need the processors, too. With 1,000 viewers and 200
 * changes/s, 117 to 134 queries a second were read with the pause, and 71 to 75 without (`npx tsx bench/live-viewers.ts --rate 200`).
 */
const PAUSE_FACTOR = 1

export function createRowDecisions<Asker>(options: RowDecisionsOptions<Asker>): RowDecisions<Asker> {
  const { checkVisibility, viewerOf, signal, maxWaiting = 1_000_000 } = options
  /** By table, then by change. */
  const waiting = new Map<string, Map<RowImages, Pending<Asker>>>()
  const running = new Set<string>()
  /** The number of decisions that wait. */
  let count = 0

  /** One request at a time for each table, so that the next one covers all changes that arrive meanwhile. */
  async function run(relid: string): Promise<void> {
    running.add(relid)
    await new Promise(resolve => setImmediate(resolve)) // so that the first one covers all changes of this turn
    for (let all = waiting.get(relid); all && !signal.aborted; all = waiting.get(relid)) {
      const part: Pending<Asker>[] = []
      for (const pending of all.values()) {
        if (part.length === MAX_CHANGES || (part[0] && part[0].table !== pending.table)) break
        part.push(pending)
        all.delete(pending.images)
        for (const { askers } of pending.asked) count -= askers.length
      }
      if (all.size === 0) waiting.delete(relid)
      const began = performance.now()
      await decide(part)
      await delay(PAUSE_FACTOR * (performance.now() - began), signal)
    }
    running.delete(relid)
  }

  async function decide(part: readonly Pending<Asker>[]): Promise<void> {
    const viewers = new Map<string, Viewer>()
    const keys = new Map<Asker, string>()
    for (const { asked } of part)
      for (const asker of asked.flatMap(({ askers }) => askers)) {
        if (keys.has(asker)) continue // a key takes time, and each asker may be here for each change
        const viewer = viewerOf(asker)
        const key = viewerKey(viewer, true)
        keys.set(asker, key)
        viewers.set(key, viewer)
      }
    const rows: RowImage[] = []
    const ends = part.map(({ images: { row, old }, isSeenAlike }) => {
      if (row) rows.push(row)
      if (old && !(row && isSeenAlike)) rows.push(old)
      return rows.length
    })
    const { table } = part[0] as Pending<Asker>
    const check = async () => checkVisibility(table, [...viewers.values()], rows, signal)
    const views = await check().catch(() => undefined) // then all askers get a yes, and the reads show what is wrong
    if (signal.aborted) return
    const viewOf = new Map([...keys].map(([asker, key]) => [asker, views?.get(key)]))
    for (const [i, { asked }] of part.entries()) {
      const from = ends[i - 1] ?? 0
      const to = ends[i] as number
      for (const { askers, decided } of asked)
        for (const asker of askers) {
          const view = viewOf.get(asker)
          if (!(view instanceof Promise)) decided(asker, isVisible(view, from, to))
          // A viewer whose policies are slow delays no other one.
          else
            view.then(
              verdict => decided(asker, isVisible(verdict, from, to)),
              () => signal.aborted || decided(asker, true),
            )
        }
    }
  }

  return {
    ask(table, images, isSeenAlike, askers, decided) {
      const all = waiting.get(table.relid) ?? new Map<RowImages, Pending<Asker>>()
      const known = all.get(images)
      if (count + askers.length > maxWaiting) {
        for (const asker of askers) decided(asker, true)
        return
      }
      const pending = known ?? { table, images, isSeenAlike, asked: [] }
      pending.isSeenAlike &&= isSeenAlike
      pending.asked.push({ askers, decided })
      count += askers.length
      all.set(images, pending)
      waiting.set(table.relid, all)
      if (!running.has(table.relid)) void run(table.relid)
    },
  }
}

/** Whether the viewer sees one of the rows, or it cannot be known. */
function isVisible(verdict: Visibility | undefined, from: number, to: number): boolean {
  if (verdict === undefined || verdict instanceof ListenqlError) return true
  for (let i = from; i < to; i++) if (verdict[i]) return true
  return false
}
