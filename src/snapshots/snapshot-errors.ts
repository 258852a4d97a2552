import type { WatchedTable } from '../catalog/watched-table.js'
import { ListenqlError } from '../lib/errors.js'
import { sizeWords, timeWords } from '../lib/words.js'
import { grantReadSql } from '../log/install.js'
import { hasSqlState, SQL_STATE } from '../postgres/sql-state.js'
import type { ReadLimits } from './read-limits.js'

// The errors that clients get instead of a snapshot. What Postgres says may hold values of rows: it goes to the server's log only.

const SEE_LOG = 'try again; the log of the server has the reason'

export function notRead({ name }: WatchedTable, cause?: unknown): ListenqlError {
  return new ListenqlError('DATABASE_FAILED', `table ${name} could not be read`, { hint: SEE_LOG, cause })
}

export function unreachable(cause: unknown): ListenqlError {
  return new ListenqlError('DATABASE_FAILED', 'the database cannot be reached', { hint: SEE_LOG, cause })
}

/** The error if Postgres refuses the cut. */
export function cutRefused(cause: unknown): ListenqlError {
  if (!hasSqlState(cause, SQL_STATE.insufficientPrivilege)) {
    return new ListenqlError('DATABASE_FAILED', 'the event log could not be read', { hint: SEE_LOG, cause })
  }
  return new ListenqlError('DATABASE_FAILED', `the server's login may not read the event log`, {
    hint: 'the owner of schema listenql may allow it: listenql install --grant-to LOGIN',
    cause,
  })
}

/** @param patience how long the read has waited, in ms */
export function waitedTooLong({ name }: WatchedTable, patience: number): ListenqlError {
  return new ListenqlError(
    'QUERY_TIMEOUT',
    `table ${name} could not be read within ${timeWords(patience)}: too many other reads are in progress`,
    { hint: 'try again later' },
  )
}

export function tooSlow(
  { name }: WatchedTable,
  { queryTimeout, flags }: ReadLimits,
  cause: unknown,
): ListenqlError {
  return new ListenqlError(
    'QUERY_TIMEOUT',
    `reading table ${name} took longer than ${timeWords(queryTimeout)}`,
    {
      hint: `read fewer rows, or filter and sort by columns with an index; ${flags.timeout} sets the limit`,
      cause,
    },
  )
}

export function tooLarge({ name }: WatchedTable, { maxBytes, flags }: ReadLimits): ListenqlError {
  return new ListenqlError(
    'RESULT_TOO_LARGE',
    `the rows of table ${name} have more than ${sizeWords(maxBytes)}`,
    { hint: `read fewer rows at once, with limit and offset; ${flags.bytes} sets the limit` },
  )
}

/** @param max the limit, linked rows and groups included */
export function tooManyRows({ name }: WatchedTable, max: number): ListenqlError {
  return new ListenqlError(
    'RESULT_TOO_LARGE',
    `the rows of table ${name} and what is linked to them are more than ${max} rows`,
    { hint: 'read fewer rows at once, with limit on each list; --max-rows sets the limit' },
  )
}

export function sumTooLarge({ name }: WatchedTable, cause: unknown): ListenqlError {
  return new ListenqlError(
    'VALUE_NOT_SHOWN',
    `a sum or an average in the query of table ${name} is out of the range of its type`,
    { hint: 'add up fewer rows, or leave the field out', cause },
  )
}

export function schemaChanged({ name }: WatchedTable): ListenqlError {
  return new ListenqlError('SCHEMA_CHANGED', `table ${name} was altered, or is no longer watched`, {
    hint: 'try again in a second; you may have to read the schema again',
  })
}

/** @param login the server's login */
export function notReadable({ schema, name }: WatchedTable, login: string, cause: unknown): ListenqlError {
  return new ListenqlError('TABLE_NOT_READABLE', `the server's login may not read table ${name}`, {
    hint: grantReadSql(login, { schema, table: name }).trim().replaceAll('\n', ' '),
    cause,
  })
}
