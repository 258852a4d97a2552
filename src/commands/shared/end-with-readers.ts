import type { Command } from './command.js'

/** The reader has gone (`listenql config | head -1`), or the terminal was closed. */
const UNREAD = new Set(['EPIPE', 'EIO', 'ECONNRESET', 'ERR_STREAM_DESTROYED'])

/**
 * Ends the process without a message when the reader of its output has gone, as Unix tools do, and with a message when the output
 * cannot be written (a full disk). A server continues in both cases: its clients do not read its output, and it still has to stop
 * its Postgres.
 */
export function endWithReaders({ outlivesStdout = false }: Command): void {
  process.stdout.on('error', error => {
    if (outlivesStdout) return
    if (isUnread(error)) process.exit()
    process.stderr.write(`listenql: the output cannot be written: ${error.message}\n`)
    process.exit(1)
  })
  // No output is left to report it on.
  process.stderr.on('error', () => undefined)
}

function isUnread(error: Error): boolean {
  return 'code' in error && UNREAD.has(String(error.code))
}
