import type { ClientBase } from 'pg'
import { ListenqlError, messageOf } from '../lib/errors.js'
import { ask } from '../postgres/lock-retry.js'
import { SQL_STATE, sqlState } from '../postgres/sql-state.js'

/** An error of `listenql.watch` and the like as one for users, with a remedy. */
export async function explainWatchError(client: ClientBase, error: unknown): Promise<unknown> {
  const state = sqlState(error)
  const text = messageOf(error).replace(/^listenql: /, '')
  const hint =
    error instanceof Error && 'hint' in error && typeof error.hint === 'string' ? error.hint : undefined
  if (state === SQL_STATE.watchRefused) {
    return new ListenqlError('DATABASE_FAILED', text, { ...(hint !== undefined && { hint }), cause: error })
  }
  if (state === SQL_STATE.insufficientPrivilege) {
    return new ListenqlError('DATABASE_FAILED', text, { hint: await rightsHint(client), cause: error })
  }
  if (error instanceof ListenqlError || state === undefined) return error
  return new ListenqlError('DATABASE_FAILED', text, { hint: hint ?? `SQLSTATE ${state}`, cause: error })
}

/** The rights on schema `listenql` with which a login can watch its own tables. */
export function watcherGrants(role: string): string {
  const functions = [
    'watch(regclass, boolean)',
    'enroll(regclass, boolean, text)',
    'create_triggers(oid, boolean)',
  ]
  return [
    `grant usage on schema listenql to ${role};`,
    `grant select on listenql.watched to ${role};`,
    ...[
      ...functions,
      'unwatch(regclass)',
      'silence(regclass)',
      'newest()',
      'refresh(oid, integer)',
      'status()',
    ].map(signature => `grant execute on function listenql.${signature} to ${role};`),
  ].join('\n')
}

async function rightsHint(client: ClientBase): Promise<string> {
  const rows = await ask<{ owner: string; me: string; isOwner: boolean }>(
    client,
    `select nspowner::regrole::text as owner, quote_ident(current_user) as me,
       pg_has_role(nspowner, 'usage') as "isOwner" from pg_namespace where nspname = 'listenql'`,
  ).catch(() => [])
  const [row] = rows
  if (!row) return 'it needs a role that may create schemas in this database'
  if (row.isOwner) return `it needs the right TRIGGER on the table, which its owner may grant to ${row.me}`
  return `it needs a role with the right TRIGGER on the table, and rights on schema listenql, which its owner (${row.owner}) may grant:\n${watcherGrants(row.me)}`
}
