// Which viewers see a changed row: the policies are asked before queries are read, since most viewers do not see most rows of a table
// with policies.
import { type Viewer, viewerKey } from '../auth/viewer.js'
import type { WatchedTable } from '../catalog/watched-table.js'
import type { RowImage } from '../filters/index.js'
import { delay } from '../lib/abort.js'
import { ListenqlError } from '../lib/errors.js'
import type { CheckVisibility, Visibility } from '../rls/visibility.js'
import { createSparedViewers } from './spared-viewers.js'
import type { RowImages } from './touches.js'

export interface ChangedRow {
  readonly table: WatchedTable
  readonly images: RowImages
}

/** Asks whether viewers see a changed row, before or after the change. */
export interface RowDecisions<Asker, Change> {
  /** @param isSeenAlike whether the policies decide alike about the row before and after the change */
  ask(change: Change, isSeenAlike: boolean, askers: readonly Asker[]): void
}

export interface RowDecisionsOptions<Asker, Change> {
  readonly checkVisibility: CheckVisibility
  /** The viewer of an asker, with a role. Undefined: the asker needs no decision any more, and gets a yes. */
  readonly viewerOf: (asker: Asker) => Viewer | undefined
  /** Called once for each asker of a change, possibly before `ask` returns. @param isVisible true also if it cannot be known in time */
  readonly decided: (asker: Asker, change: Change, isVisible: boolean) => void
  /** Ends all requests; their askers get no decision any more. */
  readonly signal: AbortSignal
  /** Most changes of a table that wait for a decision: beyond that, askers get a yes. Default: 1000. */
  readonly maxWaiting?: number
  /** Longest time that a request may take, in ms: after that, askers get a yes. Default: 2000. */
  readonly patience?: number
}

interface Pending<Asker, Change> {
  readonly change: Change
  isSeenAlike: boolean
  readonly askers: Asker[]
}

/** Most changes of one request. */
const MAX_CHANGES = 250

/**
 * Pause after a request, as a multiple of its duration, and at most, in ms: the reads of the queries need the processors, too. With
 * 1,000 viewers and 200 changes/s, 117 to 134 queries a second were read with the pause, and 71 to 75 without
 * (`npm run bench:live-viewers -- --rate 200`).
 */
const PAUSE_FACTOR = 1
const MAX_PAUSE_MS = 250

export function createRowDecisions<Asker, Change extends ChangedRow>(
  options: RowDecisionsOptions<Asker, Change>,
): RowDecisions<Asker, Change> {
  const { checkVisibility, viewerOf, decided, signal, maxWaiting = 1000, patience = 2000 } = options
  /** By table, then by change. */
  const waiting = new Map<string, Map<Change, Pending<Asker, Change>>>()
  const running = new Set<string>()
  const spared = createSparedViewers()

  /** One request at a time for each table, so that the next one covers all changes that arrive meanwhile. */
  async function run(relid: string): Promise<void> {
    running.add(relid)
    try {
      await new Promise(resolve => setImmediate(resolve)) // so that the first one covers all changes of this turn
      for (let all = waiting.get(relid); all && !signal.aborted; all = waiting.get(relid)) {
        const began = performance.now()
        await decide(relid, takePart(relid, all))
        await delay(Math.min(MAX_PAUSE_MS, PAUSE_FACTOR * (performance.now() - began)), signal)
      }
    } finally {
      running.delete(relid)
    }
  }

  /** Changes of one form of the table. */
  function takePart(relid: string, all: Map<Change, Pending<Asker, Change>>): Pending<Asker, Change>[] {
    const part: Pending<Asker, Change>[] = []
    for (const pending of all.values()) {
      if (part.length === MAX_CHANGES || (part[0] && part[0].change.table !== pending.change.table)) break
      part.push(pending)
      all.delete(pending.change)
    }
    if (all.size === 0) waiting.delete(relid)
    return part
  }

  async function decide(relid: string, part: readonly Pending<Asker, Change>[]): Promise<void> {
    const viewers = new Map<string, Viewer>()
    /** Undefined: the asker gets a yes. A key takes time, and each asker may be here for each change. */
    const keys = new Map<Asker, string | undefined>()
    for (const { askers } of part)
      for (const asker of askers) {
        if (keys.has(asker)) continue
        const viewer = viewerOf(asker)
        const key = viewer && viewerKey(viewer, true)
        const isAsked = key !== undefined && !spared.has(relid, key)
        keys.set(asker, isAsked ? key : undefined)
        if (viewer && isAsked) viewers.set(key, viewer)
      }
    const rows: RowImage[] = []
    const ends = part.map(({ change: { images }, isSeenAlike }) => {
      const { row, old } = images
      if (row) rows.push(row)
      if (old && !(row && isSeenAlike)) rows.push(old)
      return rows.length
    })
    const views = await viewsOf(part[0] as Pending<Asker, Change>, viewers, rows)
    if (signal.aborted) return
    for (const [key, view] of views ?? []) spared.note(relid, key, view)
    const viewOf = new Map([...keys].map(([asker, key]) => [asker, key && views?.get(key)]))
    for (const [i, { change, askers }] of part.entries()) {
      const from = ends[i - 1] ?? 0
      const to = ends[i] as number
      for (const asker of askers) {
        const view = viewOf.get(asker) || undefined
        if (!(view instanceof Promise)) decided(asker, change, isVisible(view, from, to))
        // A viewer whose policies are slow delays no other one.
        else
          view.then(
            verdict => decided(asker, change, isVisible(verdict, from, to)),
            () => signal.aborted || decided(asker, change, true),
          )
      }
    }
  }

  /** Undefined: no answer in time, or an error, so that the reads show what is wrong. */
  async function viewsOf(
    { change: { table } }: Pending<Asker, Change>,
    viewers: ReadonlyMap<string, Viewer>,
    rows: readonly RowImage[],
  ): Promise<Awaited<ReturnType<CheckVisibility>> | undefined> {
    if (viewers.size === 0) return undefined
    try {
      const ends = AbortSignal.any([signal, AbortSignal.timeout(patience)])
      return await checkVisibility(table, [...viewers.values()], rows, ends)
    } catch {
      return undefined
    }
  }

  return {
    ask(change, isSeenAlike, askers) {
      const { relid } = change.table
      const all = waiting.get(relid) ?? new Map<Change, Pending<Asker, Change>>()
      const known = all.get(change)
      if (!known && all.size >= maxWaiting) {
        for (const asker of askers) decided(asker, change, true)
        return
      }
      const pending = known ?? { change, isSeenAlike, askers: [] }
      pending.isSeenAlike &&= isSeenAlike
      pending.askers.push(...askers)
      all.set(change, pending)
      waiting.set(relid, all)
      if (!running.has(relid)) void run(relid)
    },
  }
}

/** Whether the viewer sees one of the rows, or it cannot be known. */
function isVisible(verdict: Visibility | undefined, from: number, to: number): boolean {
  if (verdict === undefined || verdict instanceof ListenqlError) return true
  for (let i = from; i < to; i++) if (verdict[i]) return true
  return false
}
