import type { Command } from './command.js'

/** The reader has gone (`listenql config | head -1`), or the terminal was closed. */
const UNREAD = new Set(['EPIPE', 'EIO', 'ECONNRESET', 'ERR_STREAM_DESTROYED'])

/**
 * Ends the process quietly when the reader of its output has gone, as Unix tools do, and with a message when the output cannot
 * be written (a full disk). A server does not end for either: its clients do not read its output, and it has its Postgres to
 * stop.
 */
export function endWithReaders({ outlivesStdout = false }: Command): void {
  process.stdout.on('error', error => {
    if (outlivesStdout) return
    if (isUnread(error)) process.exit()
    process.stderr.write(`listenql: the output cannot be written: ${error.message}\n`)
    process.exit(1)
  })
  // There is no place left where this could be told.
  process.stderr.on('error', () => undefined)
}

function isUnread(error: Error): boolean {
  return 'code' in error && UNREAD.has(String(error.code))
}
