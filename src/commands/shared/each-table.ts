import { didYouMean } from '../../config/index.js'
import { ListenqlError, messageOf } from '../../lib/errors.js'
import type { Streams } from './command.js'

/**
 * Runs a task for each name; it reports a failure and goes on with the next name.
 * @returns the exit code: 1 if any failed
 */
export async function eachTable(
  names: readonly string[],
  { stderr }: Pick<Streams, 'stderr'>,
  task: (name: string) => Promise<void>,
): Promise<number> {
  let code = 0
  for (const name of names) {
    try {
      await task(name)
    } catch (error) {
      code = 1
      const hint = error instanceof ListenqlError && error.hint ? `\n${error.hint}` : ''
      stderr.write(`listenql: ${withName(name, messageOf(error))}${hint}\n`)
    }
  }
  return code
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
