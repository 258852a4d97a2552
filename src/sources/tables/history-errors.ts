import { ListenqlError } from '../../lib/errors.js'

/** CURSOR_EXPIRED: the table was altered or watched again, and its history begins after the cursor. */
export function begunAnew(): ListenqlError {
  return new ListenqlError('CURSOR_EXPIRED', 'the history of this table begins later than this cursor', {
    hint: 'the table was altered or watched again: read a snapshot, and subscribe after its cursor',
  })
}

/** CURSOR_EXPIRED: a trigger is disabled or missing, so changes of the table may be missing in the log. */
export function notWhole(): ListenqlError {
  return new ListenqlError(
    'CURSOR_EXPIRED',
    'changes of this table may have been missed, so its history is incomplete at the moment',
    { hint: 'listenql status shows why; once that is fixed, read a snapshot and subscribe after its cursor' },
  )
}

/** SCHEMA_CHANGED: the table is no longer watched. */
export function notWatched(): ListenqlError {
  return new ListenqlError('SCHEMA_CHANGED', 'this table is not watched any more', {
    hint: 'read the schema again',
  })
}
