// The only module with SQLSTATE codes, and with the way to get one from an error. Other modules use the names.
import pg from 'pg'

/** Conditions by their names in https://www.postgresql.org/docs/current/errcodes-appendix.html; LQ: raised by schema `listenql`. */
export const SQL_STATE = {
  protocolViolation: '08P01',
  featureNotSupported: '0A000',
  numericValueOutOfRange: '22003',
  datetimeFieldOverflow: '22008',
  characterNotInRepertoire: '22021',
  invalidParameterValue: '22023',
  untranslatableCharacter: '22P05',
  notNullViolation: '23502',
  uniqueViolation: '23505',
  readOnlySqlTransaction: '25006',
  invalidSqlStatementName: '26000',
  invalidAuthorizationSpecification: '28000',
  invalidPassword: '28P01',
  invalidCatalogName: '3D000',
  invalidSchemaName: '3F000',
  serializationFailure: '40001',
  deadlockDetected: '40P01',
  insufficientPrivilege: '42501',
  duplicateColumn: '42701',
  undefinedColumn: '42703',
  undefinedObject: '42704',
  duplicateObject: '42710',
  duplicateFunction: '42723',
  datatypeMismatch: '42804',
  undefinedFunction: '42883',
  undefinedTable: '42P01',
  duplicateSchema: '42P06',
  duplicateTable: '42P07',
  outOfMemory: '53200',
  tooManyConnections: '53300',
  programLimitExceeded: '54000',
  lockNotAvailable: '55P03',
  queryCanceled: '57014',
  /** The position is not one of this history. */
  cursorInvalid: 'LQ001',
  /** Retention has dropped what the position refers to. */
  cursorExpired: 'LQ002',
  /** The table cannot be watched, or is not watched. */
  watchRefused: 'LQ004',
  internalError: 'XX000',
} as const

/** Classes of conditions: the first two characters of their codes. */
export const SQL_STATE_CLASS = {
  connectionException: '08',
  dataException: '22',
  invalidSchemaName: '3F',
  syntaxErrorOrAccessRuleViolation: '42',
  insufficientResources: '53',
  programLimitExceeded: '54',
  operatorIntervention: '57',
  systemError: '58',
  internalError: 'XX',
} as const

type Condition =
  | (typeof SQL_STATE)[keyof typeof SQL_STATE]
  | (typeof SQL_STATE_CLASS)[keyof typeof SQL_STATE_CLASS]

/** admin_shutdown, crash_shutdown, cannot_connect_now, database_dropped, idle_session_timeout: class 57 without query_canceled. */
const SHUTDOWN = '57P'

/** The code of an error from Postgres; undefined if the error does not come from Postgres. */
export function sqlState(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined
}

/** Whether Postgres reported one of these conditions, or one of these classes. */
export function hasSqlState(error: unknown, ...conditions: readonly Condition[]): boolean {
  const state = sqlState(error)
  return state !== undefined && conditions.some(condition => state.startsWith(condition))
}

/** Postgres ends the connection, or does not accept one yet. */
export function endsConnection(error: unknown): boolean {
  return (
    hasSqlState(error, SQL_STATE_CLASS.connectionException) || sqlState(error)?.startsWith(SHUTDOWN) === true
  )
}

/** Postgres refused a statement, and the connection remains usable. */
export function isStatementError(error: unknown): boolean {
  return sqlState(error) !== undefined && !endsConnection(error)
}

/** `lock_timeout` or `statement_timeout` has passed, or the statement was cancelled. */
export function isTimeout(error: unknown): boolean {
  return hasSqlState(error, SQL_STATE.lockNotAvailable, SQL_STATE.queryCanceled)
}

/** A concurrent transaction won: the same transaction may succeed when it is run again. */
export function isConflict(error: unknown): boolean {
  return hasSqlState(error, SQL_STATE.serializationFailure, SQL_STATE.deadlockDetected)
}

/** There is no such function, or no schema that it could be in. */
export function isFunctionMissing(error: unknown): boolean {
  return hasSqlState(error, SQL_STATE.undefinedFunction, SQL_STATE.invalidSchemaName)
}

/** A text cannot be converted between the encodings of the database and the client. */
export function isEncodingError(error: unknown): boolean {
  return hasSqlState(error, SQL_STATE.characterNotInRepertoire, SQL_STATE.untranslatableCharacter)
}

/**
 * Postgres refused because of the contents of a row: data (no text in this encoding, …), limits that it exceeds, memory for it, a
 * corrupt table.
 */
export function isContentError(error: unknown): boolean {
  return hasSqlState(
    error,
    SQL_STATE_CLASS.dataException,
    SQL_STATE_CLASS.programLimitExceeded,
    SQL_STATE.outOfMemory,
    SQL_STATE_CLASS.internalError,
  )
}

/** The server lacks resources, or was interrupted or broken: it is not an error of the statement or its functions. */
export function isServerError(error: unknown): boolean {
  return hasSqlState(
    error,
    SQL_STATE_CLASS.insufficientResources,
    SQL_STATE_CLASS.operatorIntervention,
    SQL_STATE_CLASS.systemError,
    SQL_STATE_CLASS.internalError,
  )
}

/**
 * Postgres is up and refuses the statement, so LISTEN may well work meanwhile. False while it starts or stops, or has no room for
 * another connection. If an error has a `cause`, the cause decides.
 */
export function isRefusal(error: unknown): boolean {
  const answer = error instanceof Error && error.cause !== undefined ? error.cause : error
  const { operatorIntervention, insufficientResources } = SQL_STATE_CLASS
  return sqlState(answer) !== undefined && !hasSqlState(answer, operatorIntervention, insufficientResources)
}

/** A retry soon cannot succeed: the function, or the right to call it, is gone, or a value cannot be represented. */
export function isPermanent(error: unknown): boolean {
  return hasSqlState(
    error,
    SQL_STATE_CLASS.syntaxErrorOrAccessRuleViolation,
    SQL_STATE_CLASS.invalidSchemaName,
    SQL_STATE_CLASS.dataException,
  )
}
