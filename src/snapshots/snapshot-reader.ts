import pg from 'pg'
import { type ImageKind, readImageKinds } from '../catalog/image-sql.js'
import type { WatchedTable } from '../catalog/watched-table.js'
import { createImageReader, mendImage, type ReadImage, type RowImage } from '../filters/index.js'
import { ListenqlError, messageOf } from '../lib/errors.js'
import { sizeWords, timeWords } from '../lib/words.js'
import { bytesSql } from '../log/careful-read.js'
import { grantReadSql } from '../log/install.js'
import { createDecode } from '../log/text-decoding.js'
import { PIN_SETTINGS } from '../postgres/pinned-settings.js'
import { socketOf } from '../postgres/socket.js'
import {
  hasSqlState,
  isEncodingError,
  isServerError,
  isStatementError,
  isTimeout,
  SQL_STATE,
} from '../postgres/sql-state.js'
import { mayNotRead, policiesFailed, securedMeanwhile } from '../rls/access-errors.js'
import { becomeSql, takeRoleSql } from '../rls/become.js'
import { readSettings, type UsableSettings } from '../rls/role-rights.js'
import { SAVEPOINT } from './snapshot-cut.js'
import { isAsKnown, type RowsQuery, TABLE_NOW, type TableNow } from './snapshot-sql.js'
import { createSnapshotTexts } from './snapshot-texts.js'

export interface ReaderOptions {
  /** Longest that a statement may take, in ms. */
  readonly queryTimeout: number
  /** Most bytes of the images of one snapshot. */
  readonly maxBytes: number
}

/** Result of a read: rows, a reason to read again in a later snapshot, or an error for the client. */
export type Outcome =
  | { readonly kind: 'rows'; readonly rows: readonly RowImage[] }
  | { readonly kind: 'again'; readonly reason: string }
  | { readonly kind: 'failed'; readonly error: ListenqlError }

/** How long after its statement_timeout an unresponsive connection is abandoned, in ms. */
const SILENCE_GRACE_MS = 5000

/** The longest string in JavaScript has 512 MiB. */
const MAX_TEXT_BYTES = 256 * 2 ** 20

/** The table was altered or dropped; internal_error: one of its types was dropped. */
const ALTERED = [
  SQL_STATE.undefinedColumn,
  SQL_STATE.undefinedTable,
  SQL_STATE.undefinedObject,
  SQL_STATE.invalidSchemaName,
  SQL_STATE.undefinedFunction,
  SQL_STATE.datatypeMismatch,
  SQL_STATE.internalError,
]

/** Reads rows of tables in transactions that `importSnapshot` (or `beginCut`, and a savepoint) has begun. */
export interface SnapshotReader {
  /**
   * The transaction is the same afterwards, without locks.
   * @throws the error that ended the connection, which is unusable then
   */
  read(client: pg.Client, table: WatchedTable, query: RowsQuery): Promise<Outcome>
}

export function createSnapshotReader({ queryTimeout, maxBytes }: ReaderOptions): SnapshotReader {
  const kinds = new WeakMap<WatchedTable, ReadonlyMap<number, ImageKind>>()
  const readers = new WeakMap<WatchedTable, ReadImage>()
  const texts = createSnapshotTexts()
  const usable: UsableSettings = new Map()

  async function kindsOf(client: pg.Client, table: WatchedTable): Promise<ReadonlyMap<number, ImageKind>> {
    const known = kinds.get(table)
    if (known) return known
    const read = await readImageKinds(client, table.columns)
    kinds.set(table, read)
    return read
  }

  function toRows(table: WatchedTable, images: readonly string[]): RowImage[] {
    let read = readers.get(table)
    if (!read) {
      read = createImageReader(table.columns)
      readers.set(table, read)
    }
    return images.map(read)
  }

  /** @param readRows returns the images; undefined: they exceed `maxBytes` */
  async function attempt(
    client: pg.Client,
    table: WatchedTable,
    query: RowsQuery,
    readRows: (client: pg.Client, text: string, values: unknown[]) => Promise<readonly string[] | undefined>,
  ): Promise<Outcome> {
    const database = await texts.of(client, query.texts)
    const sql = query.sql(await kindsOf(client, table), database)
    const { viewer } = query
    if (viewer?.isSecured) {
      const settings = await readSettings(client, viewer.role, usable)
      await client.query(becomeSql(viewer.role, settings, viewer.claims))
    } else if (viewer) await client.query(`set local row_security = on; ${takeRoleSql(viewer.role)}`)
    const images = await readRows(client, sql.text, sql.values)
    if (viewer && !viewer.isSecured && (await isSecured(client, table)))
      return { kind: 'failed', error: securedMeanwhile(table) }
    if (viewer) await client.query(`set local role none; ${PIN_SETTINGS}`) // only the server's login may read listenql.watched
    const now = await tableNow(client, table)
    if (!isAsKnown(table, now)) return { kind: 'failed', error: schemaChanged(table) }
    if (now.isRewritten) return { kind: 'again', reason: 'the table was rewritten meanwhile' }
    if (images === undefined) return { kind: 'failed', error: tooLarge(table, maxBytes) }
    return { kind: 'rows', rows: toRows(table, images) }
  }

  async function readTexts(
    client: pg.Client,
    text: string,
    values: unknown[],
  ): Promise<string[] | undefined> {
    const images = await readImages(client, limited(text, 'image', values, maxBytes), maxBytes, image => {
      if (typeof image === 'string') return Buffer.byteLength(image)
      return Number.POSITIVE_INFINITY
    })
    return images as string[] | undefined
  }

  /** As bytes: Postgres refuses a whole result if one value in it is not valid UTF8. */
  async function readBytes(
    client: pg.Client,
    text: string,
    values: unknown[],
  ): Promise<string[] | undefined> {
    const bytes = bytesSql('image')
    const images = await readImages(client, limited(text, bytes, values, maxBytes), maxBytes, image =>
      Buffer.isBuffer(image) ? image.length : Number.POSITIVE_INFINITY,
    )
    if (!images) return undefined
    const { rows } = await client.query<{ name: string }>(
      'select pg_catalog.getdatabaseencoding()::pg_catalog.text as name',
    )
    const decode = createDecode(client, rows[0]?.name ?? '', attempting(client))
    const mended: string[] = []
    for (const image of images as Buffer[]) mended.push((await mendImage(image, decode)).text)
    return mended
  }

  async function explain(
    client: pg.Client,
    table: WatchedTable,
    { viewer }: RowsQuery,
    error: unknown,
  ): Promise<Outcome> {
    const role = viewer?.role
    if (hasSqlState(error, ...ALTERED)) {
      // Postgres parses SQL with the newest catalogue. If the snapshot's is older, it is too early to decide.
      const now = await tableNow(client, table)
      if (now.since === null || !isAsKnown(table, now)) return { kind: 'failed', error: schemaChanged(table) }
      return { kind: 'again', reason: messageOf(error) }
    }
    if (hasSqlState(error, SQL_STATE.insufficientPrivilege)) {
      const denied =
        role === undefined ? await notAllowed(client, table, error) : mayNotRead(table, role, error)
      return { kind: 'failed', error: denied }
    }
    if (isTooLarge(error)) return { kind: 'failed', error: tooLarge(table, maxBytes) }
    if (isTimeout(error)) return { kind: 'failed', error: tooSlow(table, queryTimeout, error) }
    if (role !== undefined && !isServerError(error))
      return { kind: 'failed', error: policiesFailed(table, error) }
    return { kind: 'failed', error: unexpected(table, error) }
  }

  return {
    async read(client, table, query) {
      let isSilent = false
      const timer = setTimeout(() => {
        isSilent = true
        socketOf(client).destroy()
      }, queryTimeout + SILENCE_GRACE_MS)
      try {
        const whyNot = (error: unknown) =>
          recoverable(
            client,
            () => explain(client, table, query, error),
            async () => ({ kind: 'failed', error: unexpected(table, error) }),
          )
        return await recoverable(
          client,
          () => attempt(client, table, query, readTexts),
          error =>
            isEncodingError(error)
              ? recoverable(client, () => attempt(client, table, query, readBytes), whyNot)
              : whyNot(error),
        )
      } catch (error) {
        throw isSilent ? new Error('the database does not answer', { cause: error }) : error
      } finally {
        clearTimeout(timer)
      }
    },
  }
}

/** An image of more than 1 GB, which Postgres builds in a string buffer. */
function isTooLarge(error: unknown): boolean {
  if (hasSqlState(error, SQL_STATE.programLimitExceeded)) return true
  return hasSqlState(error, SQL_STATE.outOfMemory) && /string buffer/.test(messageOf(error))
}

/** Rolls back to the savepoint after `work`; if Postgres has refused a statement in it, `otherwise` decides the outcome. */
async function recoverable(
  client: pg.Client,
  work: () => Promise<Outcome>,
  otherwise: (error: unknown) => Promise<Outcome>,
): Promise<Outcome> {
  let outcome: Outcome | undefined
  let refusal: unknown
  try {
    outcome = await work()
  } catch (error) {
    if (!isStatementError(error)) throw error
    refusal = error
  }
  await client.query(`rollback to savepoint ${SAVEPOINT}`)
  return outcome ?? (await otherwise(refusal))
}

/** Whether policies apply to the current role; the lock of a read prevents a change. */
async function isSecured(client: pg.Client, { relid }: WatchedTable): Promise<boolean> {
  const { rows } = await client.query<{ active: boolean }>({
    text: 'select pg_catalog.row_security_active($1::pg_catalog.oid) as active',
    values: [relid],
  })
  return rows[0]?.active !== false
}

async function tableNow(client: pg.Client, { relid, schema, name }: WatchedTable): Promise<TableNow> {
  const { rows } = await client.query<TableNow>({
    text: TABLE_NOW,
    values: [relid, schema, name],
  })
  return rows[0] as TableNow
}

/** The query of images, each as `what`; null instead of one that exceeds `maxBytes`, which is an error anyway. */
function limited(text: string, what: string, values: unknown[], maxBytes: number): pg.QueryArrayConfig {
  const most = `$${values.length + 1}::pg_catalog.int8`
  return {
    text: `select case when pg_catalog.octet_length(image) operator(pg_catalog.<=) ${most} then ${what} end from (${text}) q(image)`,
    values: [...values, Math.min(maxBytes, MAX_TEXT_BYTES)],
    rowMode: 'array',
  }
}

/**
 * Undefined: more than `maxBytes`. Images beyond that are dropped as they arrive.
 * @param sizeOf size of an image in bytes
 */
function readImages(
  client: pg.Client,
  config: pg.QueryArrayConfig,
  maxBytes: number,
  sizeOf: (image: unknown) => number,
): Promise<unknown[] | undefined> {
  return new Promise((resolve, reject) => {
    let images: unknown[] | undefined = []
    let bytes = 0
    const query = client.query(new pg.Query(config))
    query.on('row', row => {
      const image = (row as unknown as unknown[])[0]
      bytes += sizeOf(image)
      if (bytes > maxBytes) images = undefined
      images?.push(image)
    })
    query.on('end', () => resolve(images))
    query.on('error', reject)
  })
}

/** Runs a statement that may fail, in a transaction that continues. */
function attempting(client: pg.Client) {
  return async <T>(run: () => Promise<T>): Promise<T> => {
    await client.query('savepoint listenql_text')
    try {
      return await run()
    } catch (error) {
      await client.query('rollback to savepoint listenql_text')
      throw error
    }
  }
}

function schemaChanged({ name }: WatchedTable): ListenqlError {
  return new ListenqlError('SCHEMA_CHANGED', `table ${name} was altered, or is no longer watched`, {
    hint: 'try again in a second; you may have to read the schema again',
  })
}

function tooLarge({ name }: WatchedTable, maxBytes: number): ListenqlError {
  return new ListenqlError(
    'RESULT_TOO_LARGE',
    `the rows of table ${name} have more than ${sizeWords(maxBytes)}`,
    { hint: 'read fewer rows at once, with limit and offset' },
  )
}

function tooSlow({ name }: WatchedTable, queryTimeout: number, cause: unknown): ListenqlError {
  return new ListenqlError(
    'QUERY_TIMEOUT',
    `reading table ${name} took longer than ${timeWords(queryTimeout)}`,
    {
      hint: 'read fewer rows, or filter and sort by columns with an index; --query-timeout sets the limit',
      cause,
    },
  )
}

async function notAllowed(client: pg.Client, table: WatchedTable, cause: unknown): Promise<ListenqlError> {
  const { schema, name, relid } = table
  const { rows } = await client.query<{ login: string; mayRead: boolean }>(
    `select current_user::text as login, coalesce(has_table_privilege($1::oid, 'select')
       and has_schema_privilege((select relnamespace from pg_class where oid = $1::oid), 'usage'), false) as "mayRead"`,
    [relid],
  )
  const { login, mayRead } = rows[0] as { login: string; mayRead: boolean }
  if (mayRead) return unexpected(table, cause)
  return new ListenqlError('TABLE_NOT_READABLE', `the server's login may not read table ${name}`, {
    hint: grantReadSql(login, { schema, table: name }).trim().replaceAll('\n', ' '),
    cause,
  })
}

function unexpected({ name }: WatchedTable, cause: unknown): ListenqlError {
  return new ListenqlError('DATABASE_FAILED', `table ${name} could not be read`, {
    hint: 'try again; the log of the server has the reason',
    cause,
  })
}
