import { setMaxListeners } from 'node:events'
import type pg from 'pg'
import { type Viewer, viewerKey } from '../auth/viewer.js'
import type { WatchedTable } from '../catalog/watched-table.js'
import type { RowImage } from '../filters/index.js'
import { abortable, delay } from '../lib/abort.js'
import { backoffDelay } from '../lib/backoff.js'
import { isOfTheToken } from '../lib/claims.js'
import { ListenqlError, messageOf } from '../lib/errors.js'
import type { Observe } from '../lib/observation.js'
import { createTurns } from '../lib/turns.js'
import { createClosablePool } from '../postgres/closable-pool.js'
import { describeFailure } from '../postgres/connect-failure.js'
import { claimsText } from './become.js'
import type { Readers } from './policy-prepare.js'
import { LockedOut, StatementsLost } from './policy-session.js'
import { createPolicyPlanner } from './policy-sql.js'
import { createPrepared } from './prepared.js'
import type { UsableSettings } from './role-rights.js'
import { type BatchViewer, runBatch, selfKey, type Visibility } from './row-batch.js'
import { mayReadItself } from './self-reading.js'
import { createBatchSizes, createSlowViewers } from './slow-viewers.js'

export interface RowAccessOptions {
  readonly config: pg.ClientConfig
  /** Longest wait for a connection, in ms. */
  readonly connectTimeout: number
  /** Longest pause between two attempts to connect, in ms. */
  readonly reconnectMax: number
  /** Longest time that the policies of a table may take for one viewer and 500 images, in ms. Default: 250. */
  readonly policyTimeout?: number
  /** Whether statements may stay prepared, which a pooler in transaction mode does not allow. Default: false. */
  readonly keepsPrepared?: boolean
  /** Connections that evaluate policies. Default: 3. */
  readonly connections?: number
  readonly observe: Observe
}

/** Which rows viewers may see: evaluates the policies of the database on images of rows, independent of the table's present rows. */
export interface RowAccess {
  /**
   * For each viewer (by `viewerKey` with claims) whether each image is visible; or the error that prevented the check, for that
   * viewer alone: FORBIDDEN (no right to read the table, or policies that fail or cannot be evaluated on an image),
   * QUERY_TIMEOUT, SCHEMA_CHANGED. Every viewer needs a role. Waits while the database is down, until the signal aborts; then it
   * rejects with the signal's reason.
   */
  sees(
    table: WatchedTable,
    viewers: readonly Viewer[],
    images: readonly RowImage[],
    signal?: AbortSignal,
  ): Promise<ReadonlyMap<string, Visibility>>
  /**
   * The same, but viewers whose policies are slow or wait for a lock do not delay the others: they are checked separately, and
   * have a promise of their result. It rejects as `sees` does.
   */
  checkVisibility(
    table: WatchedTable,
    viewers: readonly Viewer[],
    images: readonly RowImage[],
    signal?: AbortSignal,
  ): Promise<ReadonlyMap<string, Visibility | Promise<Visibility>>>
  /**
   * Checks that the policies work on images, before a subscription starts. The result is the same for all viewers of a role.
   * @returns whether they may read the claims that differ in every token
   * @throws ListenqlError as `sees` returns it for this viewer
   */
  probe(table: WatchedTable, viewer: Viewer): Promise<boolean>
  /**
   * Whether policies of the table read the table itself under this viewer's role, as `probe` or later queries have found. Their
   * results then depend on the present rows and not on the image alone.
   */
  readsItself(table: WatchedTable, viewer: Viewer): boolean
  /** Idempotent. */
  close(): Promise<void>
}

export type { Visibility as Verdict } from './row-batch.js'

/** Most images in one statement. */
const MAX_IMAGES = 500

/** Viewers in one message, at first and at most: a message should be short, since others wait for the connection. */
const FIRST_BATCH_VIEWERS = 50
const MAX_BATCH_VIEWERS = 250

/**
 * Longest that the policies may take for one viewer, in ms, while other viewers of the table wait. It is halved after so many
 * viewers of one query that take longer, down to the minimum, so that many slow viewers are found soon.
 */
const QUICK_MS = 50
const MIN_QUICK_MS = 15
const SLOW_VIEWERS_TO_HALVE = 4

/** How long a viewer waits for locks, in ms, before it gets an error. */
const LOCK_PATIENCE_MS = 30_000

const LOCK_PAUSE_MS = 100

/** Most policy queries and role settings that are cached as working. */
const MAX_REMEMBERED = 2000

export function createRowAccess(options: RowAccessOptions): RowAccess {
  const {
    config,
    connectTimeout,
    reconnectMax,
    policyTimeout: budget = 250,
    connections = 3,
    observe,
  } = options
  const { pool, close: closePool } = createClosablePool({
    ...config,
    application_name: 'listenql policies',
    connectionTimeoutMillis: connectTimeout,
    max: connections,
  })
  const stop = new AbortController()
  const slow = createSlowViewers(QUICK_MS)
  const sizes = createBatchSizes(FIRST_BATCH_VIEWERS, MAX_BATCH_VIEWERS)
  const turns = createTurns({ limit: connections, slowLimit: Math.max(1, connections - 1) })
  const planPolicies = createPolicyPlanner()
  const prepared = createPrepared(options.keepsPrepared ?? false)
  const readers: Readers = new Map()
  const usable: UsableSettings = new Map()
  /** By table, then by role. */
  const rights = new Map<string, Map<string, string>>()
  /** Tables and roles, for good: a policy may call a function that reads the table only now and then. */
  const selfReading = new Set<string>()

  function memoryOf({ relid }: WatchedTable) {
    const known = rights.get(relid) ?? new Map<string, string>()
    rights.set(relid, known)
    if (readers.size > MAX_REMEMBERED) readers.clear()
    if (usable.size > MAX_REMEMBERED) usable.clear()
    return { rights: known, planPolicies, prepared, readers, usable, selfReading }
  }

  /**
   * Repeats until all viewers have a verdict.
   * @param found receives the keys of slow viewers, which get no verdict here; undefined: waits for all viewers
   */
  async function askAll(
    table: WatchedTable,
    batchViewers: readonly BatchViewer[],
    images: readonly RowImage[],
    signal: AbortSignal,
    found: Set<string> | undefined,
  ): Promise<Map<string, Visibility>> {
    const { relid } = table
    const verdicts = new Map<string, Visibility>()
    const began = performance.now()
    for (let attempt = 0; ; ) {
      const left = batchViewers.filter(({ key }) => !verdicts.has(key) && !found?.has(key))
      if (left.length === 0) return verdicts
      signal.throwIfAborted()
      const before = verdicts.size + (found?.size ?? 0)
      try {
        await turns.run(relid, !found, async () => {
          if (signal.aborted) return // it waited for its turn
          const asked = found ? left.slice(0, sizes.of(relid)) : left
          const limits = found ? limitsOf(found) : { budget, toPrepare: budget * 4 }
          const from = performance.now()
          await withClient(client =>
            runBatch(client, { table, viewers: asked, images, ...limits }, memoryOf(table), verdicts),
          )
          const took = performance.now() - from
          if (!found) for (const { key } of asked) slow.took(relid, key, took)
          else if (asked.every(({ key }) => verdicts.has(key))) sizes.took(relid, asked.length, took)
        })
      } catch (error) {
        signal.throwIfAborted()
        attempt = verdicts.size + (found?.size ?? 0) > before ? 1 : attempt + 1
        if (error instanceof StatementsLost && attempt === 1) continue
        if (!(error instanceof LockedOut)) {
          const retryIn = backoffDelay(attempt, reconnectMax)
          observe({ type: 'policies.lost', ...describeFailure(error, config), retryIn })
          await delay(retryIn, signal)
        } else if (found) for (const { key } of left) addUnlessKnown(found, key, verdicts)
        else if (performance.now() - began < LOCK_PATIENCE_MS) await delay(LOCK_PAUSE_MS, signal)
        else
          for (const { key } of left) if (!verdicts.has(key)) verdicts.set(key, lockedTooLong(table, error))
      }
    }
  }

  function addUnlessKnown(found: Set<string>, key: string, verdicts: ReadonlyMap<string, Visibility>): void {
    if (!verdicts.has(key)) found.add(key)
  }

  function limitsOf(found: Set<string>) {
    const quick = Math.max(MIN_QUICK_MS, QUICK_MS / 2 ** Math.floor(found.size / SLOW_VIEWERS_TO_HALVE))
    return {
      budget: Math.min(budget, Math.ceil(quick)),
      toPrepare: budget * 4,
      onSlow: (key: string) => void found.add(key),
    }
  }

  async function withClient(work: (client: pg.PoolClient) => Promise<void>): Promise<void> {
    const client = await pool.connect()
    let isFit = false
    try {
      await work(client)
      isFit = !prepared.isFull(client)
    } catch (error) {
      isFit = error instanceof LockedOut || error instanceof StatementsLost
      throw error
    } finally {
      client.release(!isFit)
    }
  }

  async function mayReadTable({ relid }: WatchedTable): Promise<boolean> {
    try {
      return await mayReadItself(pool, relid)
    } catch (error) {
      throw new ListenqlError('DATABASE_FAILED', 'the server cannot find out what the policies read', {
        hint: 'try again',
        cause: error,
      })
    }
  }

  async function askSlice(
    table: WatchedTable,
    batchViewers: readonly BatchViewer[],
    images: readonly RowImage[],
    signal: AbortSignal,
    found: Set<string> | undefined,
  ): Promise<Map<string, Visibility>> {
    const size = Math.min(
      MAX_BATCH_VIEWERS,
      Math.max(FIRST_BATCH_VIEWERS, Math.ceil(batchViewers.length / connections)),
    )
    const all = await Promise.all(
      chunks(batchViewers, size).map(some => askAll(table, some, images, signal, found)),
    )
    return new Map(all.flatMap(verdicts => [...verdicts]))
  }

  function tell(
    { name: table }: WatchedTable,
    batchViewers: readonly BatchViewer[],
    verdicts: ReadonlyMap<string, Visibility>,
  ): void {
    for (const { key, role } of batchViewers) {
      const verdict = verdicts.get(key)
      if (!(verdict instanceof ListenqlError) || verdict.cause === undefined) continue
      observe({ type: 'policy.failed', table, role, message: messageOf(verdict.cause) })
    }
  }

  async function askSlices(
    table: WatchedTable,
    all: readonly BatchViewer[],
    images: readonly RowImage[],
    signal: AbortSignal,
    found?: Set<string>,
  ): Promise<Map<string, Visibility>> {
    let batchViewers = all
    const verdicts = new Map<string, Visibility>()
    for (const slice of images.length === 0 ? [[]] : chunks(images, MAX_IMAGES)) {
      for (const [key, verdict] of await askSlice(table, batchViewers, slice, signal, found)) {
        const before = verdicts.get(key)
        if (verdict instanceof ListenqlError || before === undefined) verdicts.set(key, verdict)
        else verdicts.set(key, [...(before as readonly boolean[]), ...verdict])
      }
      batchViewers = batchViewers.filter(
        ({ key }) => !(verdicts.get(key) instanceof ListenqlError) && !found?.has(key),
      )
    }
    for (const key of found ?? []) verdicts.delete(key)
    tell(table, all, verdicts)
    return verdicts
  }

  /** Checks all viewers together first; then, separately, those that are slow now or were slow before. */
  async function askQuick(
    table: WatchedTable,
    all: readonly BatchViewer[],
    images: readonly RowImage[],
    signal: AbortSignal,
  ): Promise<Map<string, Visibility | Promise<Visibility>>> {
    const found = new Set<string>()
    const quick: BatchViewer[] = []
    const answers = new Map<string, Visibility | Promise<Visibility>>()
    const askApart = (viewer: BatchViewer) => {
      const verdict = askSlices(table, [viewer], images, signal).then(
        own => own.get(viewer.key) as Visibility,
      )
      const asked = abortable(verdict, signal)
      asked.catch(() => undefined) // the viewer may have left
      answers.set(viewer.key, asked)
    }
    for (const viewer of all) {
      if (slow.has(table.relid, viewer.key)) askApart(viewer)
      else quick.push(viewer)
    }
    const verdicts = quick.length > 0 ? await askSlices(table, quick, images, signal, found) : new Map()
    for (const viewer of quick) {
      const verdict = verdicts.get(viewer.key)
      if (verdict !== undefined) answers.set(viewer.key, verdict)
      else {
        slow.add(table.relid, viewer.key)
        askApart(viewer)
      }
    }
    return answers
  }

  const checkVisibility: RowAccess['checkVisibility'] = (table, viewers, images, signal) => {
    const ends = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal
    if (ends.aborted) return Promise.reject(ends.reason)
    setMaxListeners(0, ends) // each viewer that is checked separately adds a listener
    return abortable(askQuick(table, batchViewersOf(viewers), images, ends), ends)
  }

  const sees: RowAccess['sees'] = async (table, viewers, images, signal) => {
    const verdicts = new Map<string, Visibility>()
    for (const [key, verdict] of await checkVisibility(table, viewers, images, signal))
      verdicts.set(key, await verdict)
    return verdicts
  }

  return {
    sees,
    checkVisibility,
    async probe(table, viewer) {
      const whole: Viewer = { ...viewer, seesToken: true }
      const verdict = (await sees(table, [whole], [])).get(viewerKey(whole, true))
      if (verdict instanceof ListenqlError) throw verdict
      const plan = planPolicies(table, memoryOf(table).rights.get(viewer.role as string))
      if (plan.kind !== 'asked') return false
      const key = selfKey(table, viewer.role as string)
      if (!plan.isShareable && !selfReading.has(key) && (await mayReadTable(table))) selfReading.add(key)
      return plan.mayReadToken
    },
    readsItself: (table, { role }) => role !== undefined && selfReading.has(selfKey(table, role)),
    async close() {
      stop.abort(new ListenqlError('DATABASE_FAILED', 'the server is stopping', { hint: 'try again' }))
      await closePool()
    },
  }
}

/** Each viewer once; viewers of one role are adjacent. */
function batchViewersOf(viewers: readonly Viewer[]): BatchViewer[] {
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

function chunks<T>(items: readonly T[], size: number): T[][] {
  const all: T[][] = []
  for (let at = 0; at < items.length; at += size) all.push(items.slice(at, at + size))
  return all
}

function lockedTooLong({ name }: WatchedTable, cause: unknown): ListenqlError {
  return new ListenqlError(
    'QUERY_TIMEOUT',
    `the row-level security of table ${name} waited too long for a lock`,
    {
      hint: 'try again later',
      cause,
    },
  )
}
