import { ListenqlError } from '../lib/errors.js'

/** Pause before a read that failed is repeated, in ms: at first, and at most. */
const RETRY_MS = 50
const MAX_RETRY_MS = 5000

/** How often a table that has another form than the known one is read again, until the new schema is in force. */
const SCHEMA_TRIES = 40

/** The pause until a failed read is repeated, in ms. Undefined: it would fail again. @param failures of reads since the last result */
export function pauseAfter(error: unknown, failures: number): number | undefined {
  if (!(error instanceof ListenqlError)) return undefined
  const mayHeal =
    error.code === 'DATABASE_FAILED' || (error.code === 'SCHEMA_CHANGED' && failures < SCHEMA_TRIES)
  return mayHeal ? Math.min(MAX_RETRY_MS, RETRY_MS * failures) : undefined
}
