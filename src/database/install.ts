import pg, { type ClientBase } from 'pg'
import { type Migration, readMigrations } from './migration-files.js'

/** The functions that a server calls: all that its login needs of schema `listenql`, beside the view `watched`. */
export const SERVER_FUNCTIONS = [
  'newest()',
  'pull(bigint, bigint, integer, integer, bigint, integer)',
  'read(bigint, bigint, integer, integer, bigint, integer)',
  'cut()',
  'arm(integer)',
  'renew(integer)',
  'clear(bigint)',
  'refresh(oid, integer)',
  'rotate(interval, bigint)',
  'status()',
] as const

/** The grants that a server's login needs of schema `listenql`; SELECT on the tables and membership of roles are extra. */
export function grantSql(role: string): string {
  const name = pg.escapeIdentifier(role)
  return [
    `grant usage on schema listenql to ${name};`,
    `grant select on listenql.watched to ${name};`,
    ...SERVER_FUNCTIONS.map(signature => `grant execute on function listenql.${signature} to ${name};`),
    '',
  ].join('\n')
}

/**
 * The whole installation as one script for a DBA: run it with `psql -v ON_ERROR_STOP=1` on a database without schema
 * `listenql`, as the role that is to own it.
 * @param options.grantTo the login of the server, if it is another role
 */
export function printInstallSql(
  options: { grantTo?: string; migrations?: readonly Migration[] } = {},
): string {
  const migrations = options.migrations ?? readMigrations()
  return [
    'begin;\n',
    ...migrations.map(
      ({ version, name, sql }) =>
        `${sql}\ninsert into listenql.migration (version, name) values (${version}, ${pg.escapeLiteral(name)});\n`,
    ),
    ...(options.grantTo === undefined ? [] : [grantSql(options.grantTo)]),
    'commit;\n',
  ].join('\n')
}

/**
 * Removes everything: the triggers of each watched table in a transaction of its own, so that no two tables are locked at
 * once, then schema `listenql` with all that it holds. As the role that owns the schema. Waits for transactions that write to
 * the tables; set `lock_timeout` first to get error 55P03 instead, and call it again.
 */
export async function uninstall(client: ClientBase): Promise<void> {
  const { rows: found } = await client.query<{ present: boolean }>(
    `select to_regclass('listenql.watched_table') is not null as present`,
  )
  if (found[0]?.present) {
    const { rows } = await client.query<{ relid: string }>(
      'select relid::oid::text as relid from listenql.watched',
    )
    for (const { relid } of rows) await client.query('select listenql.unwatch($1::oid::regclass)', [relid])
  }
  await client.query('set client_min_messages = warning')
  try {
    await client.query('drop schema if exists listenql cascade')
  } finally {
    await client.query('reset client_min_messages')
  }
}
