import type { Relation } from '../catalog/relations.js'
import type { Skipped } from '../catalog/watch-plan.js'
import type { WatchRights } from '../catalog/watch-rights.js'

/** Why tables cannot be watched. */
export interface Problem {
  readonly tables: readonly string[]
  readonly message: string
  readonly hint?: string | undefined
}

/** Reports tables that a login with more rights has to watch. @returns whether none can be watched for this reason */
export function reportLackingRights(
  { isInstalled, mayInstall, lacking, login, database, owner }: WatchRights,
  fresh: readonly Relation[],
  skipped: readonly Skipped[],
  report: (problem: Problem) => void,
): boolean {
  const withoutTrigger = skipped.filter(({ lacksRight }) => lacksRight).map(({ relation }) => relation)
  const all = [...fresh, ...withoutTrigger]
  if (all.length === 0) return false
  const grant = `--grant-to ${shellWord(login)}`
  const commandFor = (tables: readonly Relation[]) =>
    `listenql watch ${grant} ${tables.map(({ shown }) => shellWord(shown)).join(' ')}`
  const tables = all.map(({ shown }) => shown)
  if (!isInstalled && !mayInstall) {
    report({
      tables,
      message: `login ${login} lacks CREATE on database ${database}, so it cannot create schema listenql`,
      hint: `the owner of the database runs: listenql install ${grant}; then the owner of the tables: ${commandFor(all)}`,
    })
    return true
  }
  if (isInstalled && lacking !== null) {
    report({
      tables,
      message: `login ${login} lacks ${lacking}`,
      hint: `the owner of schema listenql and of the tables (${owner}) runs: ${commandFor(all)}`,
    })
    return true
  }
  for (const each of new Set(withoutTrigger.map(relation => relation.owner))) {
    const theirs = withoutTrigger.filter(relation => relation.owner === each)
    report({
      tables: theirs.map(({ shown }) => shown),
      message: `login ${login} lacks TRIGGER on ${theirs.length === 1 ? 'it' : 'them'}`,
      hint: `the owner (${each}) runs: ${commandFor(theirs)}`,
    })
  }
  return false
}

/** A word of a command line, in quotes where a shell needs them. */
export function shellWord(word: string): string {
  return /^[\w.$-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
