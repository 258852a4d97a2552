import type pg from 'pg'
import { findTable, tableNames } from '../catalog/find-table.js'
import { beginHistories, readStates, type WatchState, watchTable } from '../catalog/watch.js'
import { explainWatchError } from '../catalog/watch-errors.js'
import { ListenqlError } from '../lib/errors.js'
import { notesOnDumps } from '../log/dump-grants.js'
import { grantReadSql } from '../log/install.js'
import { inTransaction } from '../postgres/lock-retry.js'
import { hasSqlState, SQL_STATE } from '../postgres/sql-state.js'
import type { Streams } from './shared/command.js'
import { type Database, refuseStandby, withClient } from './shared/connect.js'
import { type Attempts, createAttempts, noSuchTable, printBlockers } from './shared/each-table.js'
import { graphqlFields } from './shared/graphql-fields.js'
import { createProgress, type Progress } from './shared/progress.js'
import { grantDump, granting, grantToServer, provideLog } from './shared/provide-log.js'
import { resolveChoice, type TableChoice } from './shared/table-choice.js'
import { happened, notesOn } from './watch-notes.js'
import { printSelection, selectTables, type Target } from './watch-selection.js'

export interface WatchArguments extends TableChoice {
  /** Prints what would be watched, and changes nothing. */
  readonly dryRun?: boolean
  /** Logs changes under logical replication and session_replication_role = replica, too. */
  readonly always: boolean
  /** Gets SELECT on the tables, in addition to the server's login of the embedded Postgres. */
  readonly grantTo: string | undefined
  /** Gets the right to dump schema listenql with the rest of the database. */
  readonly grantDumpTo?: string | undefined
  /** Longest wait for sessions that use a table, in ms. */
  readonly patience: number
}

/**
 * Most tables for which histories begin in one call. In each call, the database compares all watched tables, which takes milliseconds for each; but
 * an interrupted command should leave few tables without a history.
 */
const TABLES_AT_ONCE = 100

/** Watches tables, and prints the outcome for each. @returns the exit code: 1 if one of them cannot be watched. */
export async function watchCommand(
  { config, serverLogin }: Pick<Database, 'config' | 'serverLogin'>,
  argv: WatchArguments,
  io: Pick<Streams, 'stdout' | 'stderr'>,
): Promise<number> {
  return withClient(config, 'watch', async client => {
    await refuseStandby(client)
    if (!argv.dryRun) await prepare(client, serverLogin, argv, io)
    const attempts = createAttempts(io, () => progress?.clear())
    let progress: Progress | undefined
    const selection = await select(client, argv, attempts)
    printSelection(selection, argv, attempts, io)
    if (argv.dryRun) return attempts.code

    const { targets } = selection
    progress = createProgress(io, { total: targets.length, what: 'watching', noun: 'table' })
    const roles = [...new Set([serverLogin, argv.grantTo])].filter(role => role !== undefined)
    const report = createReport(client, { roles, attempts, progress }, io)
    const states = await readStates(
      client,
      targets.map(({ relid }) => relid),
    ).catch(error => {
      // A login without rights on the schema gets the error of each table, which says what it needs.
      if (!hasSqlState(error, SQL_STATE.insufficientPrivilege)) throw error
      return new Map<string, WatchState>()
    })
    let pending: Triggered[] = []
    const beginAll = async () => {
      const begun = pending
      pending = []
      if (begun.length === 0) return
      try {
        await report(begun)
      } catch (error) {
        attempts.fail(begun.map(({ target }) => target.word).join(', '), error)
      }
    }
    for (const [i, target] of targets.entries()) {
      progress.show(i)
      await attempts.run(target.word, async () => {
        const print = printBlockers(target.word, io)
        await watchTable(client, target.relid, {
          always: target.always,
          patience: argv.patience,
          config,
          onWait: async blockers => {
            progress?.clear()
            print(blockers)
            await beginAll() // other tables do not wait for this one
          },
        })
        pending.push({ target, before: states.get(target.relid) })
      })
      if (pending.length >= TABLES_AT_ONCE) await beginAll()
    }
    await beginAll()
    progress.clear()
    return attempts.code
  })
}

/** Installs schema `listenql` or brings it up to date, and grants rights on it. */
async function prepare(
  client: pg.Client,
  serverLogin: string | undefined,
  { grantDumpTo }: Pick<WatchArguments, 'grantDumpTo'>,
  { stdout }: Pick<Streams, 'stdout'>,
): Promise<void> {
  const installed = await provideLog(client)
  if (installed !== undefined) {
    stdout.write(`${installed}\n`)
    if (serverLogin !== undefined) await grantToServer(client, serverLogin)
  }
  if (grantDumpTo !== undefined) await grantDump(client, grantDumpTo)
}

async function select(client: pg.Client, argv: WatchArguments, attempts: Attempts) {
  const find = async (word: string) => {
    const table = await findTable(client, word)
    if (!table) throw noSuchTable(word, await tableNames(client))
    return table
  }
  try {
    return await selectTables(client, await resolveChoice(argv, find, attempts), argv)
  } catch (error) {
    throw await explainWatchError(client, error)
  }
}

/** A table that has its triggers. */
interface Triggered {
  readonly target: Target
  /** Its state before; undefined: it was not watched. */
  readonly before: WatchState | undefined
}

/** Returns a function that lets the histories of tables begin, and prints the outcome for each. */
function createReport(
  client: pg.Client,
  {
    roles,
    attempts,
    progress,
  }: { readonly roles: readonly string[]; readonly attempts: Attempts; readonly progress: Progress },
  { stdout, stderr }: Pick<Streams, 'stdout' | 'stderr'>,
): (tables: readonly Triggered[]) => Promise<void> {
  const printed = new Set<string>()
  return async tables => {
    const histories = await beginHistories(
      client,
      tables.map(({ target }) => target.relid),
    )
    for (const { target } of tables) {
      for (const role of roles) {
        await attempts.run(target.word, () =>
          granting(role, () => inTransaction(client, () => client.query(grantReadSql(role, target)))),
        )
      }
    }
    const fields = await graphqlFields(client)
    const notes = await notesOn(client, new Map([...histories].map(([relid, { now }]) => [relid, now.key])))
    for (const { target, before } of tables) {
      await attempts.run(target.word, async () => {
        const history = histories.get(target.relid)
        if (!history) throw new ListenqlError('DATABASE_FAILED', 'another session has just unwatched it')
        const field = fields.get(target.relid)
        progress.clear()
        stdout.write(
          `${target.shown} ${happened(before, history.now)}${field === undefined ? '' : `: ${field}`}\n`,
        )
        for (const note of notes.get(target.relid) ?? []) stderr.write(`-- ${target.shown} ${note}\n`)
        if (history.lacking !== undefined) {
          throw new ListenqlError('DATABASE_FAILED', `its history is incomplete: ${history.lacking}`, {
            hint: `if a trigger is disabled: alter table ${target.shown} enable trigger user; then watch it again`,
          })
        }
      })
    }
    for (const note of await notesOnDumps(client, [...histories.keys()])) {
      if (!printed.has(note)) stderr.write(`-- ${note}\n`)
      printed.add(note)
    }
  }
}
