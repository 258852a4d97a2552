import pg from 'pg'
import { ListenqlError } from '../lib/errors.js'
import { endOfBatch, type Position } from './cursor.js'
import { type DeliveryRow, type LogEvent, toLogEvent } from './log-event.js'

/** Most events in a page; the database bounds a page in bytes, too. */
export const PAGE = 2000

/** What a connection or a pool can do. */
export interface Queryable {
  query(config: pg.QueryConfig): Promise<pg.QueryResult>
}

export interface Page {
  readonly events: readonly LogEvent[]
  /** Where to go on: everything at or before it has been read. */
  readonly position: Position
  /** Nothing more was there. */
  readonly isLast: boolean
}

/** int8 as numbers: ids, batches and tokens stay far below 2^53. */
const TYPES: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text') =>
    oid === pg.types.builtins.INT8
      ? Number
      : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser,
}

/** Not the moment itself: its text depends on DateStyle. */
const columns = `n, token, ord, statement, id, xid, pg_catalog.date_part('epoch', at) as at, kind, topic, generation, operation, old, new`

/**
 * Takes what has newly become visible into the ledger, and reads the page after `after`. It counts once this has resolved: the
 * call has committed.
 * @param name keeps the statement prepared in the session; not behind a pooler that hands each transaction to another one
 */
export function pull(client: Queryable, after: Position, name?: string): Promise<Page> {
  return readPage(client, 'pull', after, name)
}

/** Reads the page after `after` of what is in the ledger. @throws ListenqlError CURSOR_INVALID, CURSOR_EXPIRED */
export function read(client: Queryable, after: Position): Promise<Page> {
  return readPage(client, 'read', after)
}

/**
 * The key of cursors. Undefined: the schema has none, since it is of a version before 13, or there is no schema. After `newest`,
 * which makes a history where there is none.
 */
export async function cursorKey(client: Queryable): Promise<Buffer | undefined> {
  try {
    const { rows } = await client.query({ text: 'select listenql.cursor_key() as key' })
    return rows[0]?.key ?? undefined
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === '42883' || code === '3F000') return undefined // undefined_function, invalid_schema_name
    throw error
  }
}

/** The end of what is in the ledger now. */
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
  name?: string,
): Promise<Page> {
  const { n, token, ord, statement, id } = after
  try {
    const { rows } = await client.query({
      ...(name === undefined ? {} : { name }),
      text: `select ${columns} from listenql.${fn}($1, $2, $3, $4, $5, $6)`,
      values: [n, token, ord, statement, id, PAGE],
      types: TYPES,
    })
    const events = (rows as DeliveryRow[]).map(toLogEvent)
    const last = events.at(-1)
    // The end of a batch is a good position for as long as later batches are there; an event goes with its partition.
    return { events, position: last?.position ?? endOfBatch(after), isLast: last === undefined }
  } catch (error) {
    throw explain(error)
  }
}

/** not_null_violation: schemas before version 10 cannot make themselves whole. */
function explainMissing(error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code !== '23502') return error
  const message =
    'the event log was restored from a dump without its rows, and its schema is of an older version; run as its owner: listenql install'
  return Object.assign(new Error(message, { cause: error }), { code })
}

function explain(error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  const hint = 'read a snapshot, and subscribe after its cursor'
  if (code === 'LQ001') {
    return new ListenqlError(
      'CURSOR_INVALID',
      'the history that this cursor is of is not the history of this database',
      { hint, cause: error },
    )
  }
  if (code === 'LQ002') {
    return new ListenqlError('CURSOR_EXPIRED', 'this cursor is older than what is kept', {
      hint,
      cause: error,
    })
  }
  return error
}
