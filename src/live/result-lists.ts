import type { Plan } from '../plan/plan.js'
import type { PlanRow } from '../plan/plan-result.js'
import type { Snapshot } from '../snapshots/snapshot-request.js'
import type { RowLists } from '../sources/row-lists.js'

/** The lists at the top of a plan's results. Undefined: an aggregate has none. */
export function resultLists<Result extends Snapshot>({ root }: Plan): RowLists<Result> | undefined {
  if (root.kind === 'rows') {
    return {
      of: ({ rows }) => [{ path: [], rows }],
      replace: (result, [rows]) => ({ ...result, rows }),
    }
  }
  if (root.kind !== 'roots') return undefined
  const names = [...root.children].flatMap(([name, { kind }]) => (kind === 'rows' ? [name] : []))
  return {
    of: ({ rows: [row] }) => names.map(name => ({ path: [name], rows: row?.linked?.get(name) ?? [] })),
    replace(result, lists) {
      const linked = new Map(result.rows[0]?.linked)
      for (const [i, name] of names.entries()) linked.set(name, lists[i] as readonly PlanRow[])
      return { ...result, rows: [{ linked } as unknown as PlanRow] } // the roots have no columns
    },
  }
}
