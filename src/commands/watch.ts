import type pg from 'pg'
import { type Unindexed, unindexedForeignKeys, unindexedWords } from '../catalog/foreign-keys.js'
import { findTable, tableNames, type WatchOutcome, watchTable } from '../catalog/watch.js'
import { ListenqlError } from '../lib/errors.js'
import { noteOnDumps } from '../log/dump-grants.js'
import { grantReadSql } from '../log/install.js'
import { ask, inTransaction } from '../postgres/lock-retry.js'
import type { Streams } from './shared/command.js'
import { type Database, refuseStandby, withClient } from './shared/connect.js'
import { eachTable, noSuchTable, printBlockers } from './shared/each-table.js'
import { graphqlFields } from './shared/graphql-fields.js'
import { grantDump, granting, grantToServer, provideLog } from './shared/provide-log.js'

export interface WatchArguments {
  readonly tables: readonly string[]
  /** Logs changes under logical replication and session_replication_role = replica, too. */
  readonly always: boolean
  /** Gets SELECT on the tables, in addition to the server's login of the embedded Postgres. */
  readonly grantTo: string | undefined
  /** Gets the right to dump schema listenql with the rest of the database. */
  readonly grantDumpTo?: string | undefined
  /** Longest wait for sessions that use a table, in ms. */
  readonly patience: number
}

/** Watches tables, and prints the outcome for each. @returns the exit code: 1 if one of them cannot be watched. */
export async function watchCommand(
  { config, serverLogin }: Pick<Database, 'config' | 'serverLogin'>,
  { tables, always, grantTo, grantDumpTo, patience }: WatchArguments,
  io: Pick<Streams, 'stdout' | 'stderr'>,
): Promise<number> {
  return withClient(config, 'watch', async client => {
    await refuseStandby(client)
    const installed = await provideLog(client)
    if (installed !== undefined) {
      io.stdout.write(`${installed}\n`)
      if (serverLogin !== undefined) await grantToServer(client, serverLogin)
    }
    if (grantDumpTo !== undefined) await grantDump(client, grantDumpTo)
    const printed = new Set<string>()
    return eachTable(tables, io, async word => {
      const table = await findTable(client, word)
      if (!table) throw noSuchTable(word, await tableNames(client))
      const onWait = printBlockers(word, io)
      const outcome = await watchTable(client, table.relid, { always, patience, config, onWait })
      for (const role of new Set([serverLogin, grantTo])) {
        if (role !== undefined)
          await granting(role, () => inTransaction(client, () => client.query(grantReadSql(role, table))))
      }
      const fields = await graphqlFields(client, table.relid)
      io.stdout.write(
        `${table.shown} ${happened(outcome, always)}${fields === undefined ? '' : `: ${fields}`}\n`,
      )
      for (const note of await notesOn(client, table.relid, outcome))
        io.stderr.write(`-- ${table.shown} ${note}\n`)
      const note = await noteOnDumps(client, table.relid)
      if (note !== undefined && !printed.has(note)) io.stderr.write(`-- ${note}\n`)
      if (note !== undefined) printed.add(note)
      if (outcome.lacking !== undefined) {
        throw new ListenqlError('DATABASE_FAILED', `its history is incomplete: ${outcome.lacking}`, {
          hint: `if a trigger is disabled: alter table ${table.shown} enable trigger user; then watch it again`,
        })
      }
    })
  })
}

function happened({ before, now }: WatchOutcome, always: boolean): string {
  if (!before) return always ? 'is watched, under any session_replication_role' : 'is watched'
  if (before.always !== now.always) {
    const which = now.always
      ? 'under any session_replication_role'
      : 'not under session_replication_role = replica'
    return `is watched ${which} from now on; a new history begins`
  }
  if (before.generation !== now.generation) return 'was watched already; a new history begins'
  return 'was watched already'
}

async function notesOn(client: pg.Client, relid: string, { now }: WatchOutcome): Promise<string[]> {
  const rows = await ask<{ children: string[]; keyed: boolean; replicated: boolean; arrays: string[] }>(
    client,
    `select array(select i.inhrelid::regclass::text from pg_inherits i where i.inhparent = c.oid and c.relkind = 'r' order by 1)
       as children, exists (select from pg_index where indrelid = c.oid and indisprimary) as keyed,
       exists (select from pg_subscription_rel where srrelid = c.oid) as replicated,
       array(select quote_ident(a.attname) from pg_attribute a join pg_type t on t.oid = a.atttypid and t.typcategory = 'A'
         where a.attrelid = c.oid and a.attname = any ($2::text[]) order by a.attnum) as arrays
     from pg_class c where c.oid = $1::oid`,
    [relid, now.key],
  )
  const { children = [], keyed = false, replicated = false, arrays = [] } = rows[0] ?? {}
  const notes: string[] = []
  if (replicated) {
    notes.push(
      'is written by a subscription, which fires row triggers only: watch it on the publisher instead',
    )
  }
  if (children.length > 0) {
    notes.push(`has tables that inherit from it, whose rows count as its own: ${children.join(', ')}`)
  }
  if (now.key.length === 0) {
    const why = !keyed
      ? 'has no primary key'
      : children.length > 0
        ? 'has a primary key that is not unique over the tables that inherit from it'
        : 'has a primary key that is deferrable'
    notes.push(`${why}: its changes have no key by which a client could find the row`)
  }
  if (arrays.length > 0) {
    notes.push(
      `has arrays in its primary key (${arrays.join(', ')}): where one has several dimensions or indexes that do not begin at 1, changes have an error instead of that value, and clients cannot find the row`,
    )
  }
  const unindexed = await ask<Unindexed>(
    client,
    unindexedForeignKeys('$1::oid in (k.conrelid, k.confrelid)'),
    [relid],
  )
  for (const key of unindexed) notes.push(`has a relation to ${key.table}: ${unindexedWords(key)}`)
  return notes
}
