// Which viewers see a changed row: asks the policies before queries are read, since most changes of a table with policies are of rows
// that most viewers do not see.
import { type Viewer, viewerKey } from '../auth/viewer.js'
import type { WatchedTable } from '../catalog/watched-table.js'
import type { RowImage } from '../filters/index.js'
import { ListenqlError } from '../lib/errors.js'
import type { CheckVisibility, Visibility } from '../rls/visibility.js'
import type { RowImages } from './touches.js'

/** Asks whether viewers see a changed row, before or after the change. */
export interface RowDecisions<Asker> {
  /**
   * @param askers each with its viewer, who needs a role
   * @param decided called once for each asker, possibly before `ask` returns: true also if it cannot be known
   */
  ask(
    table: WatchedTable,
    images: RowImages,
    askers: readonly Asker[],
    decided: (asker: Asker, isVisible: boolean) => void,
  ): void
}

export interface RowDecisionsOptions<Asker> {
  readonly checkVisibility: CheckVisibility
  readonly viewerOf: (asker: Asker) => Viewer
  /** Ends all requests; their askers get no decision any more. */
  readonly signal: AbortSignal
}

interface Pending<Asker> {
  readonly table: WatchedTable
  readonly images: RowImages
  readonly asked: (readonly [Asker, decided: (asker: Asker, isVisible: boolean) => void])[]
}

/** Most changes of one request, and most that wait for one: beyond that, all askers get a yes. */
const MAX_CHANGES = 250
const MAX_WAITING = 2000

export function createRowDecisions<Asker>(options: RowDecisionsOptions<Asker>): RowDecisions<Asker> {
  const { checkVisibility, viewerOf, signal } = options
  /** By table, then by change. */
  const waiting = new Map<string, Map<RowImages, Pending<Asker>>>()
  const running = new Set<string>()

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
      }
      if (all.size === 0) waiting.delete(relid)
      await decide(part)
    }
    running.delete(relid)
  }

  async function decide(part: readonly Pending<Asker>[]): Promise<void> {
    const viewers = new Map<string, Viewer>()
    const keys = new Map<Asker, string>()
    for (const { asked } of part)
      for (const [asker] of asked) {
        const viewer = viewerOf(asker)
        const key = viewerKey(viewer, true)
        keys.set(asker, key)
        viewers.set(key, viewer)
      }
    let at = 0
    const rows: RowImage[] = []
    const places = part.map(({ images: { row, old } }) => {
      const found = [row, old].filter(image => image !== null)
      rows.push(...found)
      at += found.length
      return { from: at - found.length, to: at }
    })
    const { table } = part[0] as Pending<Asker>
    const views = await checkVisibility(table, [...viewers.values()], rows, signal).catch(() => undefined)
    if (signal.aborted) return
    for (const [i, { asked }] of part.entries()) {
      const { from, to } = places[i] as { from: number; to: number }
      const isVisible = (verdict: Visibility | undefined) =>
        verdict === undefined || verdict instanceof ListenqlError || verdict.slice(from, to).includes(true)
      for (const [asker, decided] of asked) {
        const view = views?.get(keys.get(asker) as string)
        if (!(view instanceof Promise)) decided(asker, isVisible(view))
        // A viewer whose policies are slow delays no other one.
        else
          view.then(
            verdict => decided(asker, isVisible(verdict)),
            () => signal.aborted || decided(asker, true),
          )
      }
    }
  }

  return {
    ask(table, images, askers, decided) {
      const all = waiting.get(table.relid) ?? new Map<RowImages, Pending<Asker>>()
      const known = all.get(images)
      if (!known && all.size >= MAX_WAITING) {
        for (const asker of askers) decided(asker, true)
        return
      }
      const pending = known ?? { table, images, asked: [] }
      for (const asker of askers) pending.asked.push([asker, decided])
      all.set(images, pending)
      waiting.set(table.relid, all)
      if (!running.has(table.relid)) void run(table.relid)
    },
  }
}
