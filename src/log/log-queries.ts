import { ListenqlError } from '../lib/errors.js'
import { type Queryable, TYPES } from '../postgres/queryable.js'
import { hasSqlState, isContentError, isFunctionMissing, SQL_STATE } from '../postgres/sql-state.js'
import { isSmallSql, type Loss, readCarefully } from './careful-read.js'
import { type DeliveryRow, type LogEvent, toLogEvent } from './log-event.js'
import { endOfBatch, type Position } from './position.js'

/** Timeout of a query of the log, in ms. Without it a peer that has died silently would go unnoticed. */
export const QUERY_TIMEOUT_MS = 30_000

/** Most events in a page; the database bounds a page in bytes, too. */
export const PAGE_EVENTS = 2000

export interface Page {
  readonly events: readonly LogEvent[]
  /** The position after which the next page begins: everything at or before it has been read. */
  readonly position: Position
  /** Whether the page is empty: the end of the log. */
  readonly isLast: boolean
  /** The values and events that cannot be read. Default: none. */
  readonly losses?: readonly Loss[]
}

export interface ReadOptions {
  /** Name of a prepared statement to keep in the session. Must not be set through a pooler in transaction mode. Default: not prepared. */
  readonly name?: string | undefined
  /** Size in bytes above which an image is read in pieces. Default: 64 MiB. */
  readonly maxImage?: number | undefined
  /** Most events in the page. Default: PAGE_EVENTS. */
  readonly limit?: number
}

/** Size in bytes up to which an image is read as a whole. At most 256 MiB, because a JavaScript string holds at most 512 MiB. */
export function imageLimit(maxEvent: number): number {
  return Math.min(Math.max(2 * maxEvent, DEFAULT_MAX_IMAGE_BYTES), 256 * MiB)
}

const MiB = 2 ** 20
const DEFAULT_MAX_IMAGE_BYTES = 64 * MiB

/** `at` as a number, because the text of a timestamp depends on DateStyle. */
const OUTLINE = `n, token, ord, statement, id, xid, pg_catalog.date_part('epoch', at) as at, kind, topic, generation, operation`
const IMAGES = `case when ${isSmallSql('old')} then old end as old, case when ${isSmallSql('new')} then new end as new,
  not coalesce(${isSmallSql('old')} and ${isSmallSql('new')}, ${isSmallSql('old')}, ${isSmallSql('new')}, true) as large`

const IS_READABLE = `
select count(distinct p.proname) filter (where p.proname <> 'cursor_key') = 3
    and coalesce(bool_and(has_function_privilege(p.oid, 'execute') and has_schema_privilege(n.oid, 'usage')), false) as readable
  from pg_namespace n join pg_proc p on p.pronamespace = n.oid
 where n.nspname = 'listenql' and p.proname in ('pull', 'read', 'newest', 'cursor_key')`

/**
 * Adds the events that have newly become visible to the ledger, and reads the page after `after`. The new batch counts only once
 * this has resolved, since the call has committed then.
 * @throws ListenqlError CURSOR_INVALID, CURSOR_EXPIRED
 */
export function pull(client: Queryable, after: Position, options: ReadOptions = {}): Promise<Page> {
  return readPage(client, 'pull', after, options)
}

/** Reads the page after `after` from the batches that the ledger has. @throws ListenqlError CURSOR_INVALID, CURSOR_EXPIRED */
export function read(client: Queryable, after: Position, options: ReadOptions = {}): Promise<Page> {
  return readPage(client, 'read', after, options)
}

/** Whether the database has a log that the server's login may read. */
export async function isReadable(client: Queryable): Promise<boolean> {
  const { rows } = await client.query({ text: IS_READABLE })
  return rows[0]?.readable === true
}

/**
 * The cursor key. Undefined: the schema is of a version before 13, or there is no schema. Call it after `newest`, which begins a
 * history, and so makes a key, if there is none.
 */
export async function cursorKey(client: Queryable): Promise<Buffer | undefined> {
  try {
    const { rows } = await client.query({ text: 'select listenql.cursor_key() as key' })
    return rows[0]?.key ?? undefined
  } catch (error) {
    if (isFunctionMissing(error)) return undefined
    throw error
  }
}

/** The end of the ledger. Begins a new history if the log has none, as after a restore. */
export async function newest(client: Queryable): Promise<Position> {
  const { rows } = await client
    .query({ text: 'select n, token from listenql.newest()', types: TYPES })
    .catch((error: unknown) => {
      throw explainMissing(error)
    })
  return endOfBatch(rows[0])
}

async function readPage(
  client: Queryable,
  fn: 'pull' | 'read',
  after: Position,
  { name, maxImage = DEFAULT_MAX_IMAGE_BYTES, limit = PAGE_EVENTS }: ReadOptions,
): Promise<Page> {
  const { n, token, ord, statement, id } = after
  const values = [n, token, ord, statement, id, limit]
  const from = `from listenql.${fn}($1, $2, $3, $4, $5, $6)`
  try {
    const { rows } = await client
      .query({
        ...(name === undefined ? {} : { name }),
        text: `select ${OUTLINE}, ${IMAGES} ${from}`,
        values: [...values, maxImage],
        types: TYPES,
      })
      .catch(async error => {
        if (!isContentError(error)) throw error
        return { rows: undefined }
      })
    if (rows && !(rows as DeliveryRow[]).some(({ large }) => large)) {
      return toPage(
        (rows as DeliveryRow[]).map(row => toLogEvent(row, { old: row.old, new: row.new })),
        after,
        limit,
      )
    }
    const { events, losses } = await readCarefully(client, { fn, after, limit, maxImage })
    return { ...toPage(events, after, 0), losses } // what cannot be read counts in the database, so that the page may be cut off
  } catch (error) {
    throw explain(error)
  }
}

/** A page of at least so many bytes may be cut off within a batch: sql/migrations/0002_ledger.sql. */
const FULL_PAGE_BYTES = 4 * MiB
/** A character of JavaScript's has at most so many bytes in the encoding of a database: three in UTF8, four in EUC_TW. */
const CHARACTER_BYTES = 4

function toPage(events: readonly LogEvent[], after: Position, limit: number): Page {
  const last = events.at(-1)
  // The end of a batch says that all of its transactions have been read, and stays valid while later batches exist: the position of an
  // event expires with the event's partition.
  const position = last && isCutOff(events, limit) ? last.position : endOfBatch(last?.position ?? after)
  return { events, position, isLast: last === undefined }
}

/** Whether the batch of the last event may have more events. */
function isCutOff(events: readonly LogEvent[], limit: number): boolean {
  if (events.length >= limit) return true
  let characters = 0
  for (const { old, new: row } of events) characters += (old?.length ?? 0) + (row?.length ?? 0)
  return CHARACTER_BYTES * characters >= FULL_PAGE_BYTES
}

/** Schemas before version 10 cannot repair themselves: `newest` fails because it inserts nulls. */
function explainMissing(error: unknown): unknown {
  if (!hasSqlState(error, SQL_STATE.notNullViolation)) return error
  const message =
    'the event log was restored from a dump without its rows, and its schema is of an older version; run as its owner: listenql install'
  return new Error(message, { cause: error })
}

function explain(error: unknown): unknown {
  const hint = 'read a snapshot, and subscribe after its cursor'
  if (hasSqlState(error, SQL_STATE.cursorInvalid)) {
    return new ListenqlError(
      'CURSOR_INVALID',
      'this cursor belongs to another history than that of this database',
      { hint, cause: error },
    )
  }
  if (hasSqlState(error, SQL_STATE.cursorExpired)) {
    return new ListenqlError('CURSOR_EXPIRED', 'this cursor is older than the oldest event that is kept', {
      hint,
      cause: error,
    })
  }
  return error
}
