import type { Readiness } from '../telemetry/health.js'

/** What a server does at the moment. */
export interface ServerStatus extends Readiness {
  /** Connections of clients that may carry subscriptions. */
  readonly connections: number
  /** False: the loop that reads the event log is stuck, although the database can be reached. Only a restart helps. */
  readonly isAlive: boolean
}
