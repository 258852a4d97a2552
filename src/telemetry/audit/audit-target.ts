import { close, constants, open, openSync, write } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { ListenqlError, messageOf } from '../../lib/errors.js'

const openFile = promisify(open)
const writeFile = promisify(write)
const closeFile = promisify(close)

/** What lines are appended to. */
export interface AuditTarget {
  /** Resolves with the number of bytes written. Rejects if nothing could be written. */
  write(bytes: Buffer): Promise<number>
  close(): Promise<void>
}

/** Opens the target, anew after a file was renamed. Rejects if that fails. */
export type OpenTarget = () => Promise<AuditTarget>

/** Only the user of the server may read the file: it says what each viewer has followed. */
const MODE = 0o600
/**
 * Without O_NONBLOCK, opening a named pipe waits for a reader, and writing to a full one waits for it to read: at the start that
 * would block the server, and later a thread that Node needs for other files and cannot end.
 */
const FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK
/** Pause before the next attempt to write to a full pipe, in ms. */
const FULL_PIPE_MS = 50

/**
 * Opens the target, and keeps it open for the first lines: if it were closed after a check, the reader of a named pipe would see the end of
 * the log.
 * @param path of a file, or `-` for standard output
 * @throws ListenqlError BAD_CONFIGURATION: the file cannot be opened; a server does not start without the audit log that it is to keep
 */
export function openTarget(path: string): { readonly first: AuditTarget; readonly open: OpenTarget } {
  if (path === '-') return { first: STDOUT, open: async () => STDOUT }
  try {
    const first = targetOf(openSync(path, FLAGS, MODE))
    return { first, open: async () => targetOf(await openFile(path, FLAGS, MODE)) }
  } catch (error) {
    throw new ListenqlError('BAD_CONFIGURATION', `the audit log cannot be written: ${messageOf(error)}`, {
      hint: '--audit-log is a file in a folder that the server may write to, a named pipe that a program reads, or - for standard output',
    })
  }
}

function targetOf(file: number): AuditTarget {
  return {
    async write(bytes) {
      try {
        return (await writeFile(file, bytes)).bytesWritten
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
        await delay(FULL_PIPE_MS, undefined, { ref: false })
        return 0
      }
    },
    close: () => closeFile(file),
  }
}

const STDOUT: AuditTarget = {
  write: bytes =>
    new Promise((resolve, reject) => {
      process.stdout.write(bytes, error => (error ? reject(error) : resolve(bytes.length)))
    }),
  close: async () => undefined,
}
