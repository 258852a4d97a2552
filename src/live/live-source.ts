import { tableTitle } from '../catalog/watched-table.js'
import { abortable } from '../lib/abort.js'
import { createDeferred } from '../lib/deferred.js'
import type { ListenqlError } from '../lib/errors.js'
import { rootTable } from '../plan/plan.js'
import type { ReadAs } from '../snapshots/snapshot-request.js'
import { EventSource } from '../sources/source.js'
import type { LiveQueries, LiveResult, OpenQuery } from './live-contract.js'
import type { LivePlan } from './live-plan.js'
import type { PolicySource } from './live-policies.js'
import { resultLists } from './result-lists.js'

export interface LiveSourceOptions {
  readonly queries: Pick<LiveQueries, 'open'>
  readonly live: LivePlan
  readonly as: ReadAs
  /** The shortest time from one read to the next, in ms. */
  readonly every: number
  /** Key of the viewer, if the result depends on the viewer. */
  readonly audience?: string | undefined
  /** Holds the rights that the query needs; `lost` is called when one is lost. Resolves once they are known to hold. */
  readonly hold?: (lost: (error: ListenqlError) => void) => {
    readonly ready?: Promise<void>
    /** Undefined: no policies apply. They are known once `ready` has resolved. */
    readonly policies?: PolicySource | undefined
    readonly stop: () => void
  }
}

/**
 * The results of a live query as the events of a subscription. Each replaces the one before; `live` resolves with the first, or once the
 * source has been closed.
 */
export function liveSource({
  queries,
  live,
  as,
  every,
  audience,
  hold,
}: LiveSourceOptions): EventSource<LiveResult> {
  const first = createDeferred()
  let failure: ListenqlError | undefined
  let opened: OpenQuery | undefined
  return new EventSource<LiveResult>(
    { kind: 'table', name: tableTitle(rootTable(live.plan)) },
    {
      stateOf: ({ digest }) => digest,
      audience,
      positionOf: ({ position }) => position,
      holdsAt: () => opened?.holdsAt,
      lists: resultLists<LiveResult>(live.plan),
      extensionsOf: ({ interval }) => ({ every: interval }),
      async live(signal) {
        await abortable(first.promise, signal)
        if (failure) throw failure
      },
      async open(follower) {
        let isOver = false
        // `hold` may call `end` before it returns.
        let held: ReturnType<NonNullable<typeof hold>> | undefined
        const close = () => {
          isOver = true
          opened?.close()
          held?.stop()
          first.resolve() // a subscriber that waits joins the source that takes the place of this one
        }
        const end = (error: ListenqlError) => {
          if (isOver) return
          failure = error
          close()
          follower.end(error)
        }
        held = hold?.(end)
        if (isOver) held?.stop()
        await held?.ready
        if (isOver) return close
        try {
          opened = queries.open(
            { live, as, every, policies: held?.policies },
            {
              result(result) {
                follower.event(result)
                first.resolve()
              },
              end,
            },
          )
        } catch (error) {
          close()
          throw error
        }
        return close
      },
    },
  )
}
