import type pg from 'pg'
import { ListenqlError } from '../../lib/errors.js'
import { dumpGrantSql } from '../../log/dump-grants.js'
import { grantSql } from '../../log/install.js'
import { migrate } from '../../log/migrations.js'
import { ask, inTransaction } from '../../postgres/lock-retry.js'
import { hasSqlState, SQL_STATE } from '../../postgres/sql-state.js'

/**
 * Brings schema `listenql` up to date. It leaves the schema alone if another login keeps it and ours may not read its version.
 * @returns what it did, as a line to print; undefined: nothing
 * @throws ListenqlError DATABASE_FAILED
 */
export async function provideLog(client: pg.Client): Promise<string | undefined> {
  if (await isKeptByOthers(client)) return undefined
  const { from, to, wasRestored } = await migrate(client)
  if (from === 0) return `schema listenql is installed (version ${to})`
  const done = [
    ...(from === to ? [] : [`schema listenql is updated, from version ${from} to ${to}`]),
    ...(wasRestored
      ? [
          'the event log was restored from a dump or copied: a new history begins, and old cursors are refused',
        ]
      : []),
  ]
  return done.length > 0 ? done.join('\n') : undefined
}

/** @throws ListenqlError DATABASE_FAILED if there is no such role, or the login may not grant these rights */
export async function grantToServer(client: pg.Client, role: string): Promise<void> {
  await granting(role, () => inTransaction(client, () => client.query(grantSql(role))))
}

/** @throws ListenqlError DATABASE_FAILED as `grantToServer` */
export async function grantDump(client: pg.Client, role: string): Promise<void> {
  await granting(role, () => inTransaction(client, () => client.query(dumpGrantSql(role))))
}

/** Runs grants, and explains the errors that are to be expected. */
export async function granting(role: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (hasSqlState(error, SQL_STATE.undefinedObject)) {
      throw new ListenqlError('DATABASE_FAILED', `there is no role ${role}`, {
        hint: `create it first: create role "${role}" login password '…'`,
        cause: error,
      })
    }
    if (hasSqlState(error, SQL_STATE.insufficientPrivilege)) {
      throw new ListenqlError('DATABASE_FAILED', `this login may not grant these rights to ${role}`, {
        hint: 'run it as the owner of schema listenql and of the tables',
        cause: error,
      })
    }
    throw error
  }
}

/** Schema `listenql` exists, and this login may not read its version. */
export async function isKeptByOthers(client: pg.Client): Promise<boolean> {
  const rows = await ask<{ closed: boolean }>(
    client,
    `select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where n.nspname = 'listenql' and c.relname = 'migration'
         and not (has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select'))) as closed`,
  )
  return rows[0]?.closed === true
}
