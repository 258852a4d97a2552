// What a batch has to ask: a viewer whose verdict follows from the rights of its role is not asked, and the images are encoded once,
// with the columns that the policies of the others read.
import { type Viewer, viewerKey } from '../../auth/viewer.js'
import type { WatchedTable } from '../../catalog/watched-table.js'
import type { RowImage } from '../../filters/index.js'
import { isOfTheToken } from '../../lib/claims.js'
import { tokensMatterMeanwhile } from '../access-errors.js'
import { claimsText } from '../become.js'
import { decodeVerdicts, type EncodedImages, encodeImages, isDecidable } from '../policy-images.js'
import type { PlanPolicies, PolicyQuery } from '../policy-sql.js'
import type { FoundRights } from '../role-rights.js'
import type { Visibility } from '../visibility.js'

/** What a batch needs to know of a viewer. */
export interface BatchViewer {
  readonly key: string
  readonly role: string
  /** As JSON. */
  readonly claims: string
  /** Claims that differ in every token were left out, since the policies did not read them. */
  readonly isShortened: boolean
}

export interface Batch {
  readonly table: WatchedTable
  /** Viewers of one role are adjacent. */
  readonly viewers: readonly BatchViewer[]
  readonly images: readonly RowImage[]
  /** Time for each viewer, in ms. */
  readonly budget: number
  /** Time to have Postgres parse a query, in ms. */
  readonly toPrepare: number
  /**
   * Called with the key of a viewer whose policies take longer, or wait for a lock. The batch ends with that viewer, and
   * those after it get no verdict. Default: the viewer's verdict is the error, and locks end the batch with LockedOut.
   */
  readonly onSlow?: ((key: string) => void) | undefined
}

/** A viewer for whom the policies have to be evaluated. */
export interface AskedViewer {
  readonly viewer: BatchViewer
  readonly query: PolicyQuery
}

export interface BatchPlan {
  readonly batch: Batch
  /** Viewers whose result is known without asking the database. */
  readonly settled: ReadonlyMap<string, Visibility>
  readonly asked: readonly AskedViewer[]
  /** The images with the columns that policies name. */
  readonly some: EncodedImages
  /** The images with all columns; undefined: no policy uses whole rows. */
  readonly whole: EncodedImages | undefined
}

/** Each viewer once; viewers of one role are adjacent. */
export function batchViewersOf(viewers: readonly Viewer[]): BatchViewer[] {
  const batchViewers = new Map<string, BatchViewer>()
  for (const viewer of viewers) {
    if (viewer.role === undefined) throw new TypeError('a viewer without a role sees everything')
    const key = viewerKey(viewer, true)
    if (batchViewers.has(key)) continue
    batchViewers.set(key, {
      key,
      role: viewer.role,
      claims: claimsText(viewer),
      isShortened: viewer.seesToken !== true && Object.keys(viewer.claims).some(isOfTheToken),
    })
  }
  return [...batchViewers.values()].sort((a, b) => (a.role < b.role ? -1 : a.role > b.role ? 1 : 0))
}

/** @param rights of each role of the batch */
export function planBatch(
  batch: Batch,
  rights: ReadonlyMap<string, FoundRights>,
  planPolicies: PlanPolicies,
): BatchPlan {
  const settled = new Map<string, Visibility>()
  const asked: AskedViewer[] = []
  for (const viewer of batch.viewers) {
    const found = rights.get(viewer.role) as FoundRights
    const plan =
      'error' in found
        ? ({ kind: 'refused', error: found.error } as const)
        : planPolicies(batch.table, found.text)
    if (plan.kind === 'refused') settled.set(viewer.key, plan.error)
    else if (plan.kind === 'asked' && plan.mayReadToken && viewer.isShortened)
      settled.set(viewer.key, tokensMatterMeanwhile(batch.table))
    else if (plan.kind === 'asked') {
      const condition = plan.condition?.of(viewer.claims)
      if (condition) settled.set(viewer.key, batch.images.map(condition.sees))
      else asked.push({ viewer, query: plan })
    } else
      settled.set(
        viewer.key,
        batch.images.map(() => plan.kind === 'all'),
      )
  }
  const queries = new Set(asked.map(({ query }) => query))
  const columns = new Set([...queries].flatMap(query => query.columns ?? []))
  const usesWhole = [...queries].some(query => query.columns === undefined)
  return {
    batch,
    settled,
    asked,
    some: encodeImages([...columns], batch.images),
    whole: usesWhole ? encodeImages(batch.table.columns, batch.images) : undefined,
  }
}

/** @param answer what the query returned for a viewer */
export function visibilityOf(
  { batch: { table, images }, some, whole }: BatchPlan,
  { columns }: PolicyQuery,
  answer: string,
): boolean[] {
  const { counts } = columns ? some : (whole as EncodedImages)
  const read = columns ?? table.columns
  return decodeVerdicts(answer, counts).map(
    (isVisible, i) => isVisible && isDecidable(images[i] as RowImage, read),
  )
}
