import { didYouMean } from '../../config/index.js'
import { ListenqlError, messageOf } from '../../lib/errors.js'
import type { Streams } from './command.js'

/** Runs tasks for tables one by one; a task that fails is reported and does not stop the others. */
export interface Attempts {
  /** @returns whether the task has succeeded */
  run(name: string, task: () => Promise<void>): Promise<boolean>
  /** Reports a failure. */
  fail(name: string, error: unknown): void
  /** The exit code so far: 1 if any failed. */
  readonly code: 0 | 1
}

/** @param beforeReport called before a failure is printed */
export function createAttempts(
  { stderr }: Pick<Streams, 'stderr'>,
  beforeReport: () => void = () => undefined,
): Attempts {
  let code: 0 | 1 = 0
  function fail(name: string, error: unknown): void {
    code = 1
    beforeReport()
    const hint = error instanceof ListenqlError && error.hint ? `\n${error.hint}` : ''
    stderr.write(`listenql: ${withName(name, messageOf(error))}${hint}\n`)
  }
  return {
    async run(name, task) {
      try {
        await task()
        return true
      } catch (error) {
        fail(name, error)
        return false
      }
    },
    fail,
    get code() {
      return code
    },
  }
}

/**
 * The message with the table's name before it, unless it begins with the name, as messages of the database do: `public.v is no
 * table`.
 */
function withName(name: string, message: string): string {
  const at = message.indexOf(`${name} `)
  const isNamed = name !== '' && at >= 0 && /^(?:[^ ]+\.)?$/.test(message.slice(0, at))
  return isNamed ? message : `${name === '' ? "''" : name}: ${message}`
}

/** The error that there is no such table, with a suggestion. */
export function noSuchTable(
  name: string,
  candidates: readonly { readonly name: string; readonly also: readonly string[] }[],
): ListenqlError {
  const meant = didYouMean(name, candidates)
  const isOdd = /[^a-z0-9_.$]/.test(name) && !name.includes('"')
  const hint = isOdd
    ? `names are written as in SQL, those with capitals or blanks in double quotes, and for the shell in single quotes around them: '"${name}"'`
    : 'names are written as in SQL, with the schema if it is not in the search path: chat.messages'
  return new ListenqlError(
    'DATABASE_FAILED',
    `there is no such table${meant}`,
    meant && !isOdd ? {} : { hint },
  )
}

/** Prints which sessions a command waits for. */
export function printBlockers(name: string, { stderr }: Pick<Streams, 'stderr'>) {
  return (blockers: readonly { readonly words: string }[]) => {
    const sessions =
      blockers.length > 0
        ? blockers.map(({ words }) => words).join('; ')
        : 'other sessions that use the table'
    stderr.write(`-- ${name}: waiting for ${sessions}\n`)
  }
}
