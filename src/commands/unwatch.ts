import { findWatched, tableNames, unwatchTable, watchedNames } from '../catalog/watch.js'
import { ask } from '../postgres/lock-retry.js'
import type { Streams } from './shared/command.js'
import { type Database, refuseStandby, withClient } from './shared/connect.js'
import { eachTable, noSuchTable, printBlockers } from './shared/each-table.js'

export interface UnwatchArguments {
  readonly tables: readonly string[]
  /** Longest wait for sessions that use a table, in ms. */
  readonly patience: number
}

/** Stops watching tables, and prints the outcome for each. @returns the exit code: 1 if one of them failed. */
export async function unwatchCommand(
  { config }: Pick<Database, 'config'>,
  { tables, patience }: UnwatchArguments,
  io: Pick<Streams, 'stdout' | 'stderr'>,
): Promise<number> {
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
    return eachTable(tables, io, async word => {
      const table = await findWatched(client, word)
      if (!table) throw noSuchTable(word, [...(await watchedNames(client)), ...(await tableNames(client))])
      const onWait = printBlockers(word, io)
      const outcome = await unwatchTable(client, table.relid, { patience, config, onWait })
      if (outcome.kind === 'removed') io.stdout.write(`${table.shown} is no longer watched\n`)
      else if (outcome.kind === 'not watched') io.stdout.write(`${table.shown} was not watched\n`)
      else {
        io.stdout.write(`${table.shown} is no longer watched; its triggers still exist, but do nothing\n`)
        io.stderr.write(
          `-- ${table.shown}: they could not be dropped: ${outcome.reason}\n-- Later, run this, or unwatch it again:\n${outcome.ddl.join('\n')}\n`,
        )
      }
    })
  })
}
