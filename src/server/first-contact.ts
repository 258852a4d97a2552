import { createDeferred } from '../lib/deferred.js'
import { ListenqlError } from '../lib/errors.js'
import {
  type Failure,
  failureToConnect,
  isContact,
  type Observation,
  type Observe,
} from '../lib/observation.js'

/** How the first attempts to reach the database end: those of the LISTEN connection and of all others. */
export interface FirstContact {
  /** To be shown every observation. */
  readonly observe: Observe
  /** Resolves once the LISTEN connection is there; in a server that makes none, that which reads the event log. */
  readonly made: Promise<void>
  /** Resolves if the database could not be reached, by whichever connection. */
  readonly failed: Promise<void>
  /** @throws ListenqlError DATABASE_FAILED if it could not */
  assertReached(database: string): void
}

export function createFirstContact(): FirstContact {
  const made = createDeferred()
  const failed = createDeferred()
  let failure: Failure | undefined
  return {
    observe(observation) {
      if (isContact(observation)) made.resolve()
      failure ??= failureToConnect(observation)
      if (failure) failed.resolve()
    },
    made: made.promise,
    failed: failed.promise,
    assertReached(database) {
      if (!failure) return
      const { message, hint } = failure
      throw new ListenqlError('DATABASE_FAILED', `cannot connect as ${database}: ${message}`, {
        ...(hint !== undefined && { hint }),
      })
    },
  }
}

/** What `createServer` rejects with under `exitOnError`: the log need not say it, too, nor that it is tried again. */
export function isReasonToExit(observation: Observation): boolean {
  if (observation.type === 'role.unusable') return observation.option === '--anonymous-role'
  return failureToConnect(observation) !== undefined
}
