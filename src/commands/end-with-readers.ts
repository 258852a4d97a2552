import type { Command } from './command.js'

/**
 * Ends the process quietly when nobody reads its output any more (`listenql config | head -1`), as Unix tools do. A
 * server does not end for that: it must still stop its Postgres, and its clients do not read its output.
 */
export function endWithReaders({ outlivesStdout = false }: Command): void {
  process.stdout.on('error', error => {
    if (!isBrokenPipe(error)) throw error
    if (!outlivesStdout) process.exit()
  })
  process.stderr.on('error', error => {
    if (!isBrokenPipe(error)) throw error
  })
}

function isBrokenPipe(error: Error): boolean {
  return 'code' in error && error.code === 'EPIPE'
}
