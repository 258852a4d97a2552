import type pg from 'pg'
import { readRelations, readWatched } from '../catalog/relations.js'
import { planWatch, type WatchPlan } from '../catalog/watch-plan.js'
import { countWords } from '../lib/words.js'
import type { Streams } from './shared/command.js'
import type { Attempts } from './shared/each-table.js'
import {
  ALL,
  hasPatterns,
  type ResolvedChoice,
  reportUnmatched,
  selectedNames,
  type TableChoice,
} from './shared/table-choice.js'

/** A table to watch. */
export interface Target {
  /** How messages name it: as the command line does, or `shown`. */
  readonly word: string
  readonly relid: string
  /** As SQL, with its schema where necessary. */
  readonly shown: string
  readonly schema: string
  readonly table: string
  readonly always: boolean
}

export interface WatchSelection extends Pick<WatchPlan, 'already' | 'skipped' | 'unmatched'> {
  readonly targets: readonly Target[]
}

type Options = TableChoice & { readonly always: boolean; readonly dryRun?: boolean }

/**
 * The tables to watch. A table that is named is always among them, so that missing triggers are made again and an obstacle is an error; a
 * table that a pattern selects only if something is to be done.
 */
export async function selectTables(
  client: pg.Client,
  choice: ResolvedChoice,
  options: Options,
): Promise<WatchSelection> {
  const { always, dryRun } = options
  const targetOf = ({ word, table }: ResolvedChoice['named'][number]): Target => ({ ...table, word, always })
  if (!hasPatterns(options) && !dryRun)
    return { targets: choice.named.map(targetOf), already: [], skipped: [], unmatched: [] }

  const relations = await readRelations(client, { system: true })
  const watched = await readWatched(client)
  const plan = planWatch(choice.patterns, relations, watched)
  // A dry run only prints the plan: it does not create missing triggers of named tables again.
  const named = dryRun ? [] : selectedNames(choice, relations)
  const relids = new Set(named.map(({ table }) => table.relid))
  const states = new Map(watched.map(state => [state.relid, state]))
  const lacksAlways = ({ relid }: { relid: string }) => always && states.get(relid)?.always === false
  const selected = [...plan.toWatch, ...plan.already.filter(lacksAlways)].filter(
    ({ relid }) => !relids.has(relid),
  )
  return {
    targets: [
      ...named.map(targetOf),
      ...selected.map(({ relid, shown, schema, name }) => ({
        word: shown,
        relid,
        shown,
        schema,
        table: name,
        // A pattern does not change how a table is watched.
        always: always || states.get(relid)?.always === true,
      })),
    ],
    already: plan.already.filter(table => !relids.has(table.relid) && !lacksAlways(table)),
    skipped: plan.skipped.filter(({ relation }) => !relids.has(relation.relid)),
    // A name may be that of an index or a sequence: then watching it fails with that reason.
    unmatched: plan.unmatched.filter(({ isName }) => dryRun || !isName),
  }
}

/** Prints what needs no work, and in a dry run what would be done. */
export function printSelection(
  { targets, already, skipped, unmatched }: WatchSelection,
  { dryRun = false }: Pick<Options, 'dryRun'>,
  attempts: Attempts,
  { stdout, stderr }: Pick<Streams, 'stdout' | 'stderr'>,
): void {
  const note = (line: string) => (dryRun ? stdout.write(`${line}\n`) : stderr.write(`-- ${line}\n`))
  for (const { shown } of already)
    stdout.write(dryRun ? `${shown} is watched already\n` : `${shown} was watched already\n`)
  if (dryRun) for (const { shown } of targets) stdout.write(`${shown} would be watched\n`)
  const schemas = new Map<string, string>()
  for (const { relation, reason, pattern } of skipped) {
    if (!relation.isOfSystem) note(`${relation.shown} is skipped: it ${reason}`)
    else if (dryRun || pattern !== ALL) schemas.set(relation.schema, reason)
  }
  for (const [schema, reason] of schemas) note(`schema ${schema} is skipped: it ${reason}`)
  reportUnmatched(unmatched, 'table', attempts, note)
  if (dryRun) {
    const left = skipped.filter(({ relation }) => !relation.isOfSystem)
    stdout.write(
      `${countWords(targets.length, 'table')} would be watched, watched already: ${already.length}, skipped: ${left.length}; nothing was changed\n`,
    )
  } else if (targets.length + already.length === 0 && attempts.code === 0) {
    stdout.write('there is no table to watch\n')
  }
}
