import { delay } from '../lib/abort.js'
import { ListenqlError } from '../lib/errors.js'

/** Most tries, except while the database is away, and the pause after each, in ms. */
const TRIES = 40
const PAUSE_MS = 50
/** Longest pause. */
const MAX_PAUSE_MS = 5000

/**
 * Runs a task for a reader whose history has ended, again and again while the database is away, and up to 40 times (about 40 s) while a
 * change of the schema comes into force.
 * @param mayPass which other errors pass by themselves. Default: none
 * @throws the last error of `task`; the signal's reason if it aborts in a pause
 */
export async function tryAgain<Result>(
  task: () => Promise<Result>,
  signal: AbortSignal,
  mayPass: (error: unknown) => boolean = () => false,
): Promise<Result> {
  for (let tries = 1; ; tries++) {
    try {
      return await task()
    } catch (error) {
      const code = error instanceof ListenqlError ? error.code : undefined
      const isPassing =
        code === 'DATABASE_FAILED' || (tries < TRIES && (code === 'SCHEMA_CHANGED' || mayPass(error)))
      if (signal.aborted || !isPassing) throw error
      await delay(Math.min(MAX_PAUSE_MS, PAUSE_MS * tries), signal)
      signal.throwIfAborted()
    }
  }
}
