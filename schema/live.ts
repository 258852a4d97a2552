import type { PlanRow } from '../src/plan/plan-result.js'
import type { Snapshot } from '../src/snapshots/snapshot-request.js'
import type { Builder } from './builder.js'
import type { Planner } from './planning/planner.js'
import { everyArgument, everyOf } from './rows-arguments.js'
import type { Building } from './table-schema.js'

export type QueryRef = ReturnType<Builder['queryType']>

/** The results of several queries at one position: the root object of Query in a live query. */
export class LiveRoots {
  readonly #snapshot: Snapshot

  constructor(snapshot: Snapshot) {
    this.#snapshot = snapshot
  }

  /** The result of a field by its response key. */
  of(key: string | number): Snapshot {
    const { rows, ...moment } = this.#snapshot
    return { ...moment, rows: (rows[0] as PlanRow).linked?.get(String(key)) ?? [] }
  }
}

/** `live`: any query of rows and aggregates as a live query. @param query the type Query */
export function addLive(building: Building, query: QueryRef, planner: Planner): void {
  building.builder.subscriptionField('live', t =>
    t.field({
      type: query,
      description:
        'A live query of several roots: all results show one moment, at once and whenever one of them changes. Only rows and aggregates of tables can be selected.',
      args: { every: everyArgument(building) },
      subscribe: async (_root, args, context, info) => {
        const source = await context.live(planner.roots(info), everyOf(args))
        return context.opensSources ? source : source.iterate()
      },
      resolve: snapshot => new LiveRoots(snapshot) as object,
    }),
  )
}
