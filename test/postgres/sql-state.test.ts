import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { ListenqlError } from '../../src/lib/errors.js'
import {
  endsConnection,
  hasSqlState,
  isConflict,
  isContentError,
  isEncodingError,
  isFunctionMissing,
  isPermanent,
  isRefusal,
  isServerError,
  isStatementError,
  isTimeout,
  SQL_STATE,
  SQL_STATE_CLASS,
  sqlState,
} from '../../src/postgres/sql-state.js'

const CLASSIFIERS = {
  endsConnection,
  isStatementError,
  isTimeout,
  isConflict,
  isFunctionMissing,
  isEncodingError,
  isContentError,
  isServerError,
  isRefusal,
  isPermanent,
}
type Classifier = keyof typeof CLASSIFIERS

function answer(code: string | undefined): pg.DatabaseError {
  return Object.assign(new pg.DatabaseError('refused', 0, 'error'), { code })
}

/** Returns the names of the classifiers that hold. */
function classesOf(error: unknown): string[] {
  return Object.entries(CLASSIFIERS).flatMap(([name, holds]) => (holds(error) ? [name] : []))
}

describe('a Postgres error', () => {
  it.each<[string, string, ...Classifier[]]>([
    ['protocol_violation', '08P01', 'endsConnection', 'isRefusal'],
    ['connection_failure', '08006', 'endsConnection', 'isRefusal'],
    ['admin_shutdown', '57P01', 'endsConnection', 'isServerError'],
    ['cannot_connect_now', '57P03', 'endsConnection', 'isServerError'],
    ['query_canceled', '57014', 'isStatementError', 'isTimeout', 'isServerError'],
    ['lock_not_available', '55P03', 'isStatementError', 'isTimeout', 'isRefusal'],
    ['serialization_failure', '40001', 'isStatementError', 'isConflict', 'isRefusal'],
    ['deadlock_detected', '40P01', 'isStatementError', 'isConflict', 'isRefusal'],
    ['undefined_function', '42883', 'isStatementError', 'isFunctionMissing', 'isRefusal', 'isPermanent'],
    ['invalid_schema_name', '3F000', 'isStatementError', 'isFunctionMissing', 'isRefusal', 'isPermanent'],
    ['insufficient_privilege', '42501', 'isStatementError', 'isRefusal', 'isPermanent'],
    [
      'untranslatable_character',
      '22P05',
      'isStatementError',
      'isEncodingError',
      'isContentError',
      'isRefusal',
      'isPermanent',
    ],
    [
      'character_not_in_repertoire',
      '22021',
      'isStatementError',
      'isEncodingError',
      'isContentError',
      'isRefusal',
      'isPermanent',
    ],
    ['invalid_parameter_value', '22023', 'isStatementError', 'isContentError', 'isRefusal', 'isPermanent'],
    ['program_limit_exceeded', '54000', 'isStatementError', 'isContentError', 'isRefusal'],
    ['out_of_memory', '53200', 'isStatementError', 'isContentError', 'isServerError'],
    ['too_many_connections', '53300', 'isStatementError', 'isServerError'],
    ['io_error', '58030', 'isStatementError', 'isServerError', 'isRefusal'],
    ['data_corrupted', 'XX001', 'isStatementError', 'isContentError', 'isServerError', 'isRefusal'],
    ['a cursor of another history', 'LQ001', 'isStatementError', 'isRefusal'],
    ['raised by a trigger', 'EPIPE', 'isStatementError', 'isRefusal'],
  ])('%s (%s)', (_, code, ...expected) => {
    expect(sqlState(answer(code))).toBe(code)
    expect(classesOf(answer(code))).toEqual(expected)
  })

  it('matches its own condition and its own class', () => {
    const error = answer(SQL_STATE.undefinedTable)
    expect(hasSqlState(error, SQL_STATE.undefinedColumn, SQL_STATE.undefinedTable)).toBe(true)
    expect(hasSqlState(error, SQL_STATE_CLASS.syntaxErrorOrAccessRuleViolation)).toBe(true)
    expect(hasSqlState(error, SQL_STATE.undefinedColumn, SQL_STATE_CLASS.dataException)).toBe(false)
    expect(hasSqlState(error)).toBe(false)
  })
})

it.each<[string, unknown]>([
  ['an error of a socket, whose code has five characters', Object.assign(new Error(), { code: 'EPIPE' })],
  ['an error of ours', new ListenqlError('DATABASE_FAILED', '42501')],
  ['an answer without a code', answer(undefined)],
  ['something that is no error', { code: SQL_STATE.insufficientPrivilege }],
  ['nothing', undefined],
])('an error without a SQLSTATE has no class: %s', (_, error) => {
  expect(sqlState(error)).toBeUndefined()
  expect(classesOf(error)).toEqual([])
})

it('an explained refusal counts as a refusal, and as nothing else', () => {
  const explained = new Error('in other words', { cause: answer(SQL_STATE.notNullViolation) })
  expect(classesOf(explained)).toEqual(['isRefusal'])
  expect(classesOf(new Error('no room', { cause: answer(SQL_STATE.tooManyConnections) }))).toEqual([])
})

it('sql-state.ts is the only source file that contains SQLSTATE codes', () => {
  const src = resolve(import.meta.dirname, '../../src')
  // A literal of five characters whose class Postgres or schema `listenql` uses, or a pattern that begins with a class.
  const code = /(['"`])(?:[0-5]\d|0[A-Z]|2[BDF]|3[BDF]|[FP]0|HV|XX|LQ)[0-9A-Z]{3}\1|\/\^\(?(?:[0-5]\d|XX)\b/
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(file => file.endsWith('.ts'))
  const found = files.filter(file => code.test(readFileSync(join(src, file), 'utf8')))
  expect(found).toEqual(['postgres/sql-state.ts'])
})
