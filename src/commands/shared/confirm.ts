import { createInterface } from 'node:readline/promises'
import { ListenqlError } from '../../lib/errors.js'
import type { Streams } from './command.js'

export interface Question {
  /** Ends with a question mark. */
  readonly question: string
  /** What the command does, for the error without a terminal: `this removes the event log`. */
  readonly withoutTerminal: string
  /** The command that does not ask. */
  readonly command: string
}

/**
 * Asks on the terminal for a `yes`. Ctrl-D is a no.
 * @throws ListenqlError BAD_CONFIGURATION if stdin is no terminal
 */
export async function confirm(
  { question, withoutTerminal, command }: Question,
  { stdin, stdout }: Pick<Streams, 'stdin' | 'stdout'>,
): Promise<boolean> {
  if (!stdin.isTTY) {
    throw new ListenqlError(
      'BAD_CONFIGURATION',
      `${withoutTerminal}, and stdin is no terminal on which you could confirm it`,
      { hint: `if that is what you want: ${command}` },
    )
  }
  const lines = createInterface({ input: stdin, output: stdout })
  try {
    // Ctrl-D closes stdin without an answer.
    const closed = new Promise<string>(resolve => lines.once('close', () => resolve('')))
    const answer = await Promise.race([lines.question(`${question} Type yes: `), closed])
    return answer.trim().toLowerCase() === 'yes'
  } finally {
    lines.close()
  }
}
