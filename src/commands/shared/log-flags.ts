import { patience } from '../../config/index.js'
import { ListenqlError, messageOf } from '../../lib/errors.js'
import type { Invocation } from './command.js'
import type { Database } from './connect.js'

/** Flag of the commands that create or update schema `listenql`. */
export const GRANT_DUMP = {
  flag: 'grant-dump-to',
  placeholder: 'ROLE',
  help: 'Role that runs pg_dump: gets the privilege to read schema listenql, including all logged events',
} as const

/** Flag of the commands that wait for locks. */
export const WAIT = {
  flag: 'wait',
  placeholder: patience.placeholder,
  help: 'How long to wait for transactions that use the table, such as 10s (default 60s)',
} as const

/** The database that the flags of a command choose. @throws ListenqlError as `findDatabase` */
export async function databaseFor({ load, env }: Invocation): Promise<Database> {
  const { databaseArguments } = await import('./database-arguments.js')
  const { findDatabase } = await import('./connect.js')
  return findDatabase(databaseArguments(load().settings, env))
}

/** The value of a plain flag. */
export function textOf(plain: Invocation['plain'], flag: string): string | undefined {
  const value = plain.get(flag)
  return typeof value === 'string' ? value : undefined
}

/** The value of `--wait`, in ms. @throws ListenqlError BAD_CONFIGURATION */
export function waitOf(plain: Invocation['plain']): number {
  const given = textOf(plain, WAIT.flag) ?? '60s'
  try {
    return patience.parse(given)
  } catch (error) {
    throw new ListenqlError('BAD_CONFIGURATION', `--wait is '${given}' but ${messageOf(error)}`)
  }
}
