import type { FoundTable } from '../../catalog/find-table.js'
import { ListenqlError } from '../../lib/errors.js'
import {
  decidingPattern,
  hasGlob,
  parseTablePattern,
  type RelationName,
  schemaPattern,
  type TablePattern,
} from '../../lib/patterns/table-pattern.js'
import type { Attempts } from './each-table.js'

/** The tables that a command line chooses. */
export interface TableChoice {
  /** Names as in SQL, and patterns. */
  readonly tables: readonly string[]
  readonly all?: boolean | undefined
  readonly schemas?: readonly string[] | undefined
}

/** The choice as patterns in their order, and the tables that words name. */
export interface ResolvedChoice {
  readonly patterns: readonly TablePattern[]
  readonly named: readonly NamedTable[]
}

/** A table that a word of the command line names. */
export interface NamedTable {
  readonly word: string
  readonly table: FoundTable
}

/** The pattern of `--all`. */
export const ALL: TablePattern = { text: '--all', isNegated: false, isName: false, matches: () => true }

/** Whether more than names choose the tables. */
export function hasPatterns({ tables, all, schemas = [] }: TableChoice): boolean {
  return all === true || schemas.length > 0 || tables.some(hasGlob)
}

/** @throws ListenqlError BAD_CONFIGURATION if nothing is chosen, or a pattern is malformed */
export function checkChoice(command: string, choice: TableChoice): void {
  const { tables, all, schemas = [] } = choice
  if (tables.length === 0 && !all && schemas.length === 0) {
    throw new ListenqlError(
      'BAD_CONFIGURATION',
      `listenql ${command} needs the name of a table, a pattern, --schema or --all`,
      { hint: `see listenql ${command} --help` },
    )
  }
  const patterns = tables.filter(hasGlob).map(parseTablePattern)
  if (patterns.length === tables.length && patterns.every(({ isNegated }) => isNegated) && !all) {
    if (schemas.length > 0) return
    throw new ListenqlError('BAD_CONFIGURATION', 'the patterns only say which tables are left out', {
      hint: `say from which tables: listenql ${command} --all '${tables[0]}'`,
    })
  }
}

/**
 * `--all` and `--schema` come first, so that words can take tables off again.
 * @param find the table that a word names; throws if there is none, which is reported
 */
export async function resolveChoice(
  { tables, all, schemas = [] }: TableChoice,
  find: (word: string) => Promise<FoundTable>,
  attempts: Attempts,
): Promise<ResolvedChoice> {
  const patterns = [...(all ? [ALL] : []), ...schemas.map(schemaPattern)]
  const named: NamedTable[] = []
  for (const word of tables) {
    if (hasGlob(word)) {
      patterns.push(parseTablePattern(word))
      continue
    }
    await attempts.run(word, async () => {
      const table = await find(word)
      named.push({ word, table })
      patterns.push({
        text: word,
        isNegated: false,
        isName: true,
        matches: ({ schema, name }) => schema === table.schema && name === table.table,
      })
    })
  }
  return { patterns, named }
}

/** The named tables that no later pattern takes off again. @param relations those of the database, which know what is visible */
export function selectedNames(
  { patterns, named }: ResolvedChoice,
  relations: readonly (RelationName & { readonly relid: string })[],
): readonly NamedTable[] {
  const byRelid = new Map(relations.map(relation => [relation.relid, relation]))
  return named.filter(({ table }) => {
    const relation = byRelid.get(table.relid)
    return !relation || decidingPattern(patterns, relation)?.isNegated === false
  })
}

/** Reports patterns that match nothing: a failure, unless the pattern only takes tables off. */
export function reportUnmatched(
  unmatched: readonly TablePattern[],
  what: string,
  attempts: Attempts,
  note: (line: string) => void,
): void {
  for (const { text, isNegated, isName } of unmatched) {
    if (isNegated) note(`${text} leaves out nothing: no ${what} matches`)
    else if (isName) note(`${text} is skipped: it is no ${what}`)
    else attempts.fail(text, new ListenqlError('DATABASE_FAILED', `no ${what} matches`))
  }
}
