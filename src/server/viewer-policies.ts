// The policies under which a viewer's live queries show rows: which changes they depend on, and whether the server can follow these.
import type { Viewer } from '../auth/viewer.js'
import type { WatchedTable } from '../catalog/watched-table.js'
import type { ListenqlError } from '../lib/errors.js'
import type { Stop } from '../lib/stop.js'
import {
  createLivePolicies,
  type DecidingColumns,
  type LivePolicies,
  type PolicySource,
} from '../live/live-policies.js'
import type { Plan } from '../plan/plan.js'
import { altered, policyNotFollowed, policyNotWatched, tokensMatterMeanwhile } from '../rls/access-errors.js'
import type { PolicyReads, ReadColumns } from '../rls/reads/policy-reads.js'
import type { PolicyReadsByTable, PolicyWatch } from '../rls/reads/policy-watch.js'

export interface ViewerPoliciesOptions {
  readonly watch: PolicyWatch
  /** A watched table as the log has it now. */
  readonly tableOf: (relid: string) => WatchedTable | undefined
  /** Time from one read to the next of queries whose policies cannot be followed, in ms. Undefined: they are refused. */
  readonly liveRefresh?: number | undefined
}

/** Policies that a live query depends on, until `stop` is called. */
export interface HeldPolicies {
  /** Resolves once `policies` is known, or `lost` has been called. Rejects with DATABASE_FAILED. */
  readonly ready: Promise<void>
  readonly policies: PolicySource
  readonly stop: Stop
}

export interface ViewerPolicies {
  /**
   * Checks that the policies of the plan's tables can be followed.
   * @returns the viewer without claims that they do not read, so that more viewers share a query
   * @throws ListenqlError POLICY_NOT_WATCHED, SCHEMA_CHANGED if a table is gone, DATABASE_FAILED
   */
  assert(viewer: Viewer, plan: Plan): Promise<Viewer>
  /** Follows the policies. `lost` is called, once at most, when they cannot be followed any more. @param viewer as `assert` returns it */
  hold(viewer: Viewer, plan: Plan, lost: (error: ListenqlError) => void): HeldPolicies
}

const NONE = createLivePolicies(new Map(), new Map())

export function createViewerPolicies(options: ViewerPoliciesOptions): ViewerPolicies {
  const { watch, liveRefresh } = options

  return {
    async assert(viewer, plan) {
      const reads = await watch.read(viewer.role as string, [...plan.tables.keys()])
      const { error, mayReadToken } = assess(plan, reads, options)
      if (error) throw error
      return { ...viewer, seesToken: mayReadToken }
    },
    hold(viewer, plan, lost) {
      const role = viewer.role as string
      const relids = [...plan.tables.keys()]
      const followers = new Set<() => void>()
      let assessed: Assessment | undefined
      let isOver = false

      function apply(reads: PolicyReadsByTable, isChanged: boolean): void {
        if (isOver || (!isChanged && assessed && !isOutdated(assessed, options))) return
        assessed = assess(plan, reads, options)
        const { error, mayReadToken } = assessed
        const mayNot =
          error ?? (mayReadToken && !viewer.seesToken ? tokensMatterMeanwhile(plan.root.table) : undefined)
        if (mayNot) {
          stop()
          return lost(mayNot)
        }
        for (const changed of followers) changed()
      }

      const release = watch.hold(role, relids, apply)
      const stop = () => {
        isOver = true
        release()
      }
      // Read after it is held, so that no change falls between the two.
      const ready = watch.read(role, relids).then(
        reads => apply(reads, true),
        (error: unknown) => {
          stop()
          throw error
        },
      )
      ready.catch(() => undefined) // the caller may have left
      return {
        ready,
        stop,
        policies: {
          get now() {
            return assessed?.policies ?? NONE
          },
          follow(changed) {
            followers.add(changed)
            const refresh = () => assessed?.needsRefresh && changed()
            const timer = liveRefresh === undefined ? undefined : setInterval(refresh, liveRefresh)
            return () => {
              followers.delete(changed)
              clearInterval(timer)
            }
          },
        },
      }
    },
  }
}

interface Assessment {
  readonly error: ListenqlError | undefined
  readonly policies: LivePolicies
  readonly needsRefresh: boolean
  readonly mayReadToken: boolean
  /** The tables that it rests on, as they were. */
  readonly tables: ReadonlyMap<string, WatchedTable | undefined>
}

/** Whether a table that policies read is watched in another form, or no longer. */
function isOutdated({ tables }: Assessment, { tableOf }: ViewerPoliciesOptions): boolean {
  for (const [relid, table] of tables) if (tableOf(relid) !== table) return true
  return false
}

function assess(
  plan: Plan,
  reads: PolicyReadsByTable,
  { tableOf, liveRefresh }: ViewerPoliciesOptions,
): Assessment {
  const own = new Map<string, DecidingColumns>()
  const read = new Map<string, DecidingColumns>()
  const tables = new Map<string, WatchedTable | undefined>()
  let error: ListenqlError | undefined
  let needsRefresh = false
  let mayReadToken = false

  function look(relid: string): WatchedTable | undefined {
    const table = tableOf(relid)
    tables.set(relid, table)
    return table
  }

  function addTables(secured: WatchedTable, { tables: others, unknown }: PolicyReads): void {
    for (const other of others) {
      const table = [other.relid, ...other.above].map(look).find(found => found !== undefined)
      if (table) read.set(table.relid, both(read, table, other.columns))
      else refuse(policyNotWatched(secured, other.policy, other))
    }
    for (const one of unknown) refuse(policyNotFollowed(secured, one))
  }

  function refuse(reason: ListenqlError): void {
    needsRefresh = true
    if (liveRefresh === undefined) error ??= reason
  }

  for (const [relid, table] of plan.tables) {
    const found = reads.get(relid)
    if (!found) {
      error = altered(table)
      continue
    }
    if (!found.isSecured) continue
    own.set(relid, columnsOf(look(relid) ?? table, found.own))
    if (found.mayReadToken) mayReadToken = true
    addTables(table, found)
  }
  return { error, policies: createLivePolicies(own, read), needsRefresh, mayReadToken, tables }
}

/** A partition or child may have columns that the watched table does not show. */
function columnsOf({ columns }: WatchedTable, names: ReadColumns): DecidingColumns {
  const found = names?.map(name => columns.find(column => column.name === name))
  return found?.every(column => column !== undefined) ? found : undefined
}

function both(
  read: ReadonlyMap<string, DecidingColumns>,
  table: WatchedTable,
  names: ReadColumns,
): DecidingColumns {
  const columns = columnsOf(table, names)
  if (!read.has(table.relid)) return columns
  const former = read.get(table.relid)
  return columns && former && [...new Set([...former, ...columns])]
}
