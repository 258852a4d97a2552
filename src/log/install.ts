import pg, { type ClientBase } from 'pg'
import { ask, inTransaction, type Patience, withLocks } from '../postgres/lock-retry.js'
import { PIN_TRANSACTION } from '../postgres/pinned-settings.js'
import { dumpGrantSql } from './dump-grants.js'
import { type Migration, readMigrations } from './migration-files.js'
import { noteSql } from './migrations.js'

/** The functions that a server calls. The server's login needs EXECUTE on these, and SELECT on the view `listenql.watched`. */
export const SERVER_FUNCTIONS = [
  'newest()',
  'cursor_key()',
  'pull(bigint, bigint, integer, integer, bigint, integer)',
  'read(bigint, bigint, integer, integer, bigint, integer)',
  'cut()',
  'arm(integer)',
  'renew(integer)',
  'clear(bigint)',
  'refresh(oid, integer)',
  'rotate(interval, bigint)',
  'status()',
  'kicks(xid8)',
  'prune_kicks(interval)',
  'note_trouble(text, text, text, boolean)',
  'forget_trouble(text)',
  'troubles()',
  'extend_kick(bigint, text[])',
] as const

/**
 * SQL that grants a server's login what it needs in schema `listenql`. SELECT on watched tables and membership in roles are
 * granted separately.
 */
export function grantSql(role: string): string {
  const name = pg.escapeIdentifier(role)
  return [
    `grant usage on schema listenql to ${name};`,
    `grant select on listenql.watched to ${name};`,
    ...SERVER_FUNCTIONS.map(signature => `grant execute on function listenql.${signature} to ${name};`),
    '',
  ].join('\n')
}

/** SQL that grants a server's login what it needs to read snapshots of a watched table. */
export function grantReadSql(role: string, { schema, table }: { schema: string; table: string }): string {
  const [to, of, name] = [role, schema, table].map(part => pg.escapeIdentifier(part))
  return `grant usage on schema ${of} to ${to};\ngrant select on ${of}.${name} to ${to};\n`
}

/**
 * The installation as one script for a DBA, to be run with `psql -v ON_ERROR_STOP=1` as the role that is to own schema `listenql`.
 * @param options.grantTo the server's login, if it is another role
 * @param options.grantDumpTo a role that dumps the whole database
 * @param options.from the version that the database has; the script holds the newer migrations only. Default: 0, no schema
 */
export function printInstallSql(
  options: { grantTo?: string; grantDumpTo?: string; from?: number; migrations?: readonly Migration[] } = {},
): string {
  const { from = 0 } = options
  const migrations = (options.migrations ?? readMigrations()).filter(({ version }) => version > from)
  return [
    'begin;\n',
    ...(migrations.length > 0 ? [`${PIN_TRANSACTION.replaceAll('; ', ';\n')};\n`] : []),
    ...migrations.map(migration => `${migration.sql}\n${noteSql(migration)}`),
    ...(options.grantTo === undefined ? [] : [grantSql(options.grantTo)]),
    ...(options.grantDumpTo === undefined ? [] : [dumpGrantSql(options.grantDumpTo)]),
    'commit;\n',
  ].join('\n')
}

/** The owner of schema `listenql`. */
export interface SchemaOwner {
  readonly owner: string
  readonly login: string
  /** Whether the login has all privileges of the owner. */
  readonly isOurs: boolean
}

/** Needs no privileges. @returns undefined if there is no schema `listenql` */
export async function findSchema(client: ClientBase): Promise<SchemaOwner | undefined> {
  const { rows } = await client.query<SchemaOwner>(
    `select pg_catalog.pg_get_userbyid(nspowner)::text as owner, current_user::text as login,
       pg_catalog.pg_has_role(nspowner, 'usage') as "isOurs"
     from pg_catalog.pg_namespace where nspname = 'listenql'`,
  )
  return rows[0]
}

/**
 * Removes everything: first the triggers of each watched table, each in its own transaction so that no two tables are locked at
 * once, then schema `listenql` with all its objects. Must run as the role that owns the schema.
 * @param patience how long to wait for locks. Default: without limit
 * @throws ListenqlError DATABASE_FAILED if a table stays locked for too long; what has been removed stays removed, call it again
 */
export async function uninstall(client: ClientBase, patience?: Patience): Promise<void> {
  const run = (sql: string, values?: readonly unknown[]) => {
    const work = async () => {
      await client.query('set local client_min_messages = warning')
      await (values ? client.query(sql, [...values]) : client.query(sql))
    }
    return patience ? withLocks(client, work, patience) : inTransaction(client, work)
  }
  const found = await ask<{ present: boolean }>(
    client,
    `select to_regclass('listenql.watched_table') is not null as present`,
  )
  if (found[0]?.present) {
    if (await hasFunction(client, 'unwatch')) {
      const watched = await ask<{ relid: string }>(
        client,
        'select relid::oid::text as relid from listenql.watched',
      )
      for (const { relid } of watched) await run('select listenql.unwatch($1::oid::regclass)', [relid])
    }
    // Trigger functions of tables that are not in `listenql.watched` any more.
    const left = await ask<{ oid: string }>(
      client,
      `select distinct substring(proname from '_(\\d+)$') as oid from pg_proc
       where pronamespace = 'listenql'::regnamespace and proname ~ '^(number|capture|merged)_\\d+$'`,
    )
    for (const { oid } of left) {
      await run(
        `drop function if exists listenql.number_${oid}() cascade; drop function if exists listenql.capture_${oid}() cascade`,
      )
    }
  }
  await run('drop schema if exists listenql cascade')
}

/** False if a partial dump has restored only some objects of the schema. */
async function hasFunction(client: ClientBase, name: string): Promise<boolean> {
  const rows = await ask<{ found: boolean }>(
    client,
    `select exists (select from pg_proc where pronamespace = 'listenql'::regnamespace and proname = $1)
       and to_regclass('listenql.watched') is not null as found`,
    [name],
  )
  return rows[0]?.found === true
}
