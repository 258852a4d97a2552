import pg from 'pg'
import { ListenqlError, messageOf } from '../lib/errors.js'
import type { Failure } from '../lib/observation.js'
import { endsConnection, SQL_STATE, sqlState } from './sql-state.js'

/** The failure on a standby, with the same message wherever it is noticed. */
export const STANDBY: Failure = {
  message: 'this Postgres is a standby: LISTEN does not work there, and it accepts no writes',
  hint: 'connect to the primary',
  isAway: true,
}

/** The location of the database, for messages. */
export type ConnectionTarget = Pick<pg.ClientConfig, 'host' | 'port' | 'user' | 'database'>

/**
 * Why a query or an attempt to connect failed, in one line, with a remedy. The same cause has the same message in every part of
 * the server. Of the connection string it quotes only host, port, user and database.
 */
export function describeFailure(error: unknown, target: ConnectionTarget): Failure {
  if (error instanceof ListenqlError) {
    return { message: error.message, hint: error.hint, isAway: error.message === STANDBY.message }
  }
  const message = messageOf(error)
  const isAnswer = error instanceof pg.DatabaseError
  const known = isAnswer ? refusal(error, message, target) : obstacle(codeOf(error), message, target)
  if (known !== undefined) return { ...known, isAway: true }
  return { message, hint: undefined, isAway: !isAnswer }
}

interface Explained {
  readonly message: string
  readonly hint: string | undefined
}

const PERCENT = 'in a URL, the characters @ : / ? # % of a password are written as %40 %3A %2F %3F %23 %25'

/** Explains errors with which Postgres refuses a connection. */
function refusal(
  error: pg.DatabaseError,
  message: string,
  { user, database }: ConnectionTarget,
): Explained | undefined {
  const because = (hint: string | undefined) => ({ message, hint })
  switch (sqlState(error)) {
    case SQL_STATE.invalidPassword:
      return because(`correct the password of ${user}; ${PERCENT}`)
    case SQL_STATE.invalidAuthorizationSpecification:
      if (message.includes('no encryption'))
        return because('add sslmode=require to the connection string, or an entry to pg_hba.conf')
      if (message.includes('pg_hba.conf')) return because('let an administrator add an entry to pg_hba.conf')
      return because(`correct the login in the connection string, or: create role "${user}" login`)
    case SQL_STATE.invalidCatalogName:
      return because(`correct its name in the connection string, or: create database "${database}"`)
    case SQL_STATE.insufficientPrivilege:
      return /^permission denied for database/.test(message)
        ? because(`grant connect on database "${database}" to "${user}"`)
        : undefined
    case SQL_STATE.tooManyConnections:
      return because('end other connections, or raise max_connections or the limit of the role or database')
    case SQL_STATE.readOnlySqlTransaction:
      return STANDBY as Explained
    case SQL_STATE.protocolViolation:
      return message.includes('startup parameter')
        ? because('this is a pooler: connect to Postgres itself, or see "Poolers" in docs/operations.md')
        : because(undefined)
  }
  // Postgres ends the connection, or does not accept one yet: its message suffices, and the problem passes.
  return endsConnection(error) ? because(undefined) : undefined
}

/** Explains errors of Node and `pg` before Postgres answers. */
function obstacle(code: string, message: string, { host, port }: ConnectionTarget): Explained | undefined {
  const where = host?.startsWith('/') ? `${host}/.s.PGSQL.${port}` : `${host}:${port}`
  const because = (text: string, hint: string) => ({ message: text, hint })
  const look = 'is Postgres running there, and are host and port correct?'
  switch (code) {
    case 'ECONNREFUSED':
      return because(`nothing listens on ${where} (ECONNREFUSED)`, look)
    case 'ENOENT':
      return because(`there is no socket ${where} (ENOENT)`, look)
    case 'EACCES':
    case 'EPERM':
      return because(
        `the socket ${where} may not be used (${code})`,
        'connect as a user with the right to use it',
      )
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return because(`the host ${host} is unknown (${code})`, `correct the connection string; ${PERCENT}`)
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ETIMEDOUT':
      return because(`${where} cannot be reached (${code})`, 'check the network and its firewalls')
    case 'ECONNRESET':
    case 'EPIPE':
      return because('the connection was closed', look)
  }
  if (/timeout expired|due to connection timeout/.test(message))
    return because(
      `${where} does not answer`,
      'check the network and its firewalls, or raise --connect-timeout',
    )
  if (/^Connection terminated|closed the connection/.test(message))
    return because('the connection was closed', look)
  if (message.includes('client password must be a string'))
    return because(
      'Postgres requires a password, and none is given',
      'put it into the connection string, or set PGPASSWORD',
    )
  if (message.includes('does not support SSL'))
    return because(
      `${where} does not accept encrypted connections`,
      'use sslmode=disable to connect without encryption',
    )
  if (/^(ERR_TLS|CERT|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO)/.test(code))
    return because(
      `the certificate of ${where} is not accepted: ${message}`,
      'give the certificate of its issuer with sslrootcert=FILE; sslmode=require encrypts without checking it',
    )
  return undefined
}

/** The code of Node; if several attempts failed (one for each address of a name), the first one's. */
function codeOf(error: unknown): string {
  if (error instanceof AggregateError) return codeOf(error.errors[0])
  const code: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, 'code') : undefined
  return typeof code === 'string' ? code : ''
}
