import { ListenqlError, messageOf } from '../../lib/errors.js'
import { hideSecrets } from '../../postgres/conninfo.js'

/** The text for stderr about an error that ended a command, and the exit code: 2 if the command line or configuration is wrong. */
export function reportError(error: unknown, debug: boolean): { text: string; exitCode: 1 | 2 } {
  if (error instanceof ListenqlError) {
    const hint = error.hint === undefined ? '' : `${error.hint}\n`
    const exitCode = error.code === 'BAD_CONFIGURATION' ? 2 : 1
    // A mistake on the command line needs no stack.
    return {
      text: `listenql: ${error.message}\n${hint}${debug && exitCode === 1 ? stackOf(error) : ''}`,
      exitCode,
    }
  }
  const details = debug ? stackOf(error) : 'run it with --debug to see where this error comes from\n'
  return { text: `listenql: ${hideSecrets(messageOf(error))}\n${details}`, exitCode: 1 }
}

function stackOf(error: unknown): string {
  return error instanceof Error && error.stack !== undefined ? `${hideSecrets(error.stack)}\n` : ''
}
