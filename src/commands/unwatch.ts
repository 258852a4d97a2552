import type pg from 'pg'
import { type FoundTable, findWatched, tableNames, watchedNames } from '../catalog/find-table.js'
import { readDropped, readWatched } from '../catalog/relations.js'
import { unwatchTable } from '../catalog/watch.js'
import { explainWatchError } from '../catalog/watch-errors.js'
import { decidingPattern } from '../lib/patterns/table-pattern.js'
import { countWords } from '../lib/words.js'
import { ask } from '../postgres/lock-retry.js'
import type { Streams } from './shared/command.js'
import { confirm } from './shared/confirm.js'
import { type Database, refuseStandby, withClient } from './shared/connect.js'
import { type Attempts, createAttempts, noSuchTable, printBlockers } from './shared/each-table.js'
import { createProgress } from './shared/progress.js'
import {
  hasPatterns,
  type NamedTable,
  reportUnmatched,
  resolveChoice,
  selectedNames,
  type TableChoice,
} from './shared/table-choice.js'

export interface UnwatchArguments extends TableChoice {
  /** Prints what would no longer be watched, and changes nothing. */
  readonly dryRun?: boolean
  /** Does not ask before it stops watching tables that are not named. */
  readonly yes?: boolean
  /** Longest wait for sessions that use a table, in ms. */
  readonly patience: number
}

/**
 * Stops watching tables, and prints the outcome for each.
 * @returns the exit code: 1 if one of them failed, or the confirmation was refused
 * @throws ListenqlError BAD_CONFIGURATION if stdin is no terminal to confirm it on
 */
export async function unwatchCommand(
  { config }: Pick<Database, 'config'>,
  argv: UnwatchArguments,
  io: Streams,
): Promise<number> {
  const { dryRun, yes, patience } = argv
  return withClient(config, 'unwatch', async client => {
    await refuseStandby(client)
    const rows = await ask<{ present: boolean }>(
      client,
      `select exists (select from pg_namespace where nspname = 'listenql') as present`,
    )
    if (!rows[0]?.present) {
      io.stdout.write('nothing is watched: there is no schema listenql\n')
      return 0
    }
    let clear = (): void => undefined
    const attempts = createAttempts(io, () => clear())
    const tables = await selectTables(client, argv, attempts, io)
    if (dryRun) {
      const watched = new Set((await readWatched(client)).map(({ relid }) => relid))
      const dropped = new Set((await readDropped(client)).map(({ relid }) => relid))
      const isWatched = ({ table }: NamedTable) => watched.has(table.relid) || dropped.has(table.relid)
      for (const named of tables) {
        const outcome = isWatched(named) ? 'would no longer be watched' : 'is not watched'
        io.stdout.write(`${named.table.shown} ${outcome}\n`)
      }
      const count = tables.filter(isWatched).length
      io.stdout.write(`${countWords(count, 'table')} would no longer be watched; nothing was changed\n`)
      return attempts.code
    }
    if (hasPatterns(argv) && tables.length === 0) {
      if (attempts.code === 0) io.stdout.write('no watched table is selected\n')
      return attempts.code
    }
    if (hasPatterns(argv) && !yes && !(await confirmAll(tables, argv, io))) {
      io.stdout.write('nothing was changed\n')
      return 1
    }
    const progress = createProgress(io, { total: tables.length, what: 'unwatching', noun: 'table' })
    clear = progress.clear
    for (const [i, { word, table }] of tables.entries()) {
      progress.show(i)
      await attempts.run(word, async () => {
        const print = printBlockers(word, io)
        const outcome = await unwatchTable(client, table.relid, {
          patience,
          config,
          onWait(blockers) {
            progress.clear()
            print(blockers)
          },
        })
        progress.clear()
        if (outcome.kind === 'removed') io.stdout.write(`${table.shown} is no longer watched\n`)
        else if (outcome.kind === 'not watched') io.stdout.write(`${table.shown} was not watched\n`)
        else {
          io.stdout.write(`${table.shown} is no longer watched; its triggers still exist, but do nothing\n`)
          io.stderr.write(
            `-- ${table.shown}: they could not be dropped: ${outcome.reason}\n-- Later, run this, or unwatch it again:\n${outcome.ddl.join('\n')}\n`,
          )
        }
      })
    }
    progress.clear()
    return attempts.code
  })
}

/** The tables that are named, and the watched tables that patterns select. */
async function selectTables(
  client: pg.Client,
  argv: UnwatchArguments,
  attempts: Attempts,
  { stderr }: Pick<Streams, 'stderr'>,
): Promise<readonly NamedTable[]> {
  const find = async (word: string) => {
    const table = await findWatched(client, word)
    if (!table) throw noSuchTable(word, [...(await watchedNames(client)), ...(await tableNames(client))])
    return table
  }
  const choice = await resolveChoice(argv, find, attempts)
  if (!hasPatterns(argv)) return choice.named
  try {
    const watched = [...(await readWatched(client)), ...(await readDropped(client))]
    const named = selectedNames(choice, watched)
    const relids = new Set(named.map(({ table }) => table.relid))
    const unmatched = choice.patterns.filter(one => !one.isName && !watched.some(one.matches))
    reportUnmatched(
      argv.all ? unmatched.filter(({ isNegated }) => isNegated) : unmatched,
      'watched table',
      attempts,
      line => stderr.write(`-- ${line}\n`),
    )
    return [
      ...named,
      ...watched
        .filter(
          table => !relids.has(table.relid) && decidingPattern(choice.patterns, table)?.isNegated === false,
        )
        .map(({ relid, shown, schema, name }) => {
          const table: FoundTable = { relid, shown, schema, table: name }
          return { word: shown, table }
        }),
    ]
  } catch (error) {
    throw await explainWatchError(client, error)
  }
}

function confirmAll(
  tables: readonly NamedTable[],
  { tables: words, all, schemas = [] }: UnwatchArguments,
  io: Streams,
): Promise<boolean> {
  for (const { table } of tables) io.stdout.write(`${table.shown}\n`)
  const what = `watching ${countWords(tables.length, 'table')}`
  const chosen = [...(all ? ['--all'] : []), ...schemas.map(schema => `--schema ${schema}`)]
  return confirm(
    {
      question: `Stop ${what}, and end the subscriptions and cursors of ${tables.length === 1 ? 'it' : 'them'}?`,
      withoutTerminal: `this stops ${what}`,
      command: ['listenql unwatch --yes', ...chosen, ...words.map(word => `'${word}'`)].join(' '),
    },
    io,
  )
}
