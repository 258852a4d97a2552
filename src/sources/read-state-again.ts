import { delay } from '../lib/abort.js'
import { ListenqlError } from '../lib/errors.js'

/** How often, and after which pause in ms, a state is read again while a change of the schema comes into force. */
const SCHEMA_TRIES = 40
const RETRY_MS = 50
/** Longest pause, while the database is away. */
const MAX_RETRY_MS = 5000

/**
 * Reads the state for a reader whose history has ended: again and again while the database is away or the schema is about to change.
 * @param mayHeal which other errors pass by themselves. Default: none
 * @throws the error of `read` that does not pass, or the error of the read during which the signal aborted
 */
export async function readStateAgain<State>(
  read: () => Promise<State>,
  signal: AbortSignal,
  mayHeal: (error: unknown) => boolean = () => false,
): Promise<State> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await read()
    } catch (error) {
      const code = error instanceof ListenqlError ? error.code : undefined
      const isPassing =
        code === 'DATABASE_FAILED' || (code === 'SCHEMA_CHANGED' && attempt < SCHEMA_TRIES) || mayHeal(error)
      if (signal.aborted || !isPassing) throw error
      await delay(Math.min(MAX_RETRY_MS, RETRY_MS * attempt), signal)
      signal.throwIfAborted()
    }
  }
}
