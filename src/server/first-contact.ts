import { createDeferred } from '../lib/deferred.js'
import { ListenqlError } from '../lib/errors.js'
import {
  type Failure,
  failureToConnect,
  isContact,
  type Observation,
  type Observe,
} from '../lib/observation.js'

/** The results of the first attempts to reach the database, by the LISTEN connection and all others. */
export interface FirstContact {
  /** Must get every observation. */
  readonly observe: Observe
  /** Resolves once the LISTEN connection works; in a server without one, the connection that reads the event log. */
  readonly made: Promise<void>
  /** Whether `made` has resolved. */
  readonly isMade: boolean
  /** Resolves if any connection could not reach the database. */
  readonly failed: Promise<void>
  /** @throws ListenqlError DATABASE_FAILED if the database could not be reached */
  assertReached(database: string): void
}

export function createFirstContact(): FirstContact {
  const made = createDeferred()
  const failed = createDeferred()
  let failure: Failure | undefined
  let isMade = false
  return {
    observe(observation) {
      if (isContact(observation)) {
        isMade = true
        made.resolve()
      }
      failure ??= failureToConnect(observation)
      if (failure) failed.resolve()
    },
    made: made.promise,
    get isMade() {
      return isMade
    },
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

/** Whether `createServer` rejects with it under `exitOnError`: then the log need not report it, nor that the server keeps trying. */
export function isReasonToExit(observation: Observation): boolean {
  if (observation.type === 'role.unusable') return observation.option === '--anonymous-role'
  return failureToConnect(observation) !== undefined
}
