import type { ImageKind } from '../catalog/image-sql.js'
import { tableNumber } from '../catalog/table-number.js'
import type { WatchedTable } from '../catalog/watched-table.js'
import type { DatabaseText } from '../filters/index.js'
import { type Plan, type PlanNode, rootTable } from '../plan/plan.js'
import { type PlanSql, planSql, textsIn } from '../plan/plan-sql.js'
import { claimsText } from '../rls/become.js'
import type { ReadAs } from './snapshot-request.js'

/** The viewer that a snapshot is read as. */
export interface SnapshotReaderRole {
  readonly role: string
  /** As `claimsText` returns them. */
  readonly claims: string
  /** Whether policies apply, so that the claims matter. */
  readonly isSecured: boolean
}

/** A plan, and the rights under which it is read. */
export interface SnapshotQuery {
  readonly plan: Plan
  /** The table of its root, which messages name. */
  readonly table: WatchedTable
  /** Equal for queries that read the same. */
  readonly key: string
  /** Undefined: the server's login. */
  readonly viewer: SnapshotReaderRole | undefined
  /** Texts in its filters that the encoding of the database may lack. */
  readonly texts: readonly string[]
  /** See `planSql`. */
  sql(kinds: ReadonlyMap<number, ImageKind>, text: DatabaseText): PlanSql
}

/** @throws ListenqlError ARGUMENT_INVALID for an unknown column */
export function snapshotQuery(plan: Plan, { viewer, isSecured = true, keys }: ReadAs): SnapshotQuery {
  const reader =
    viewer?.role === undefined
      ? undefined
      : {
          role: viewer.role,
          claims: isSecured ? claimsText({ ...viewer, seesToken: true }) : '{}',
          isSecured,
        }
  const options = { isSecured: reader?.isSecured === true, keys }
  const plain = planSql(plan, { ...options, kinds: new Map() })
  return {
    plan,
    table: rootTable(plan),
    key: JSON.stringify([
      plain.text,
      plain.values,
      reader ?? null,
      [...plan.tables.values()].map(tableNumber),
      namesIn(plan.root),
    ]),
    viewer: reader,
    texts: textsIn(plan),
    sql: (kinds, text) => planSql(plan, { ...options, kinds, text }),
  }
}

/** The result has the names that the plan gives to children, which the SQL does not show. */
function namesIn(node: PlanNode): unknown {
  return node.kind === 'groups' ? null : [...node.children].map(([name, child]) => [name, namesIn(child)])
}
