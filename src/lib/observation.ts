/** Why a connection was cut off: it does not keep up with its data, or is silent. */
export type CutReason = 'buffer-full' | 'stalled' | 'memory-full' | 'silent'

/** Why an operation on the database failed. */
export interface Failure {
  /** The cause, in one line. */
  readonly message: string
  /** The remedy. */
  readonly hint?: string | undefined
  /** The database cannot be reached, or does not accept connections of the server: the failure is not specific to one query. */
  readonly isAway?: boolean | undefined
}

/**
 * Events of the core. The core only emits them; logger, metrics and tests choose what to show.
 * Durations are in milliseconds, sizes in bytes.
 */
export type Observation =
  | { type: 'database.connected'; afterAttempts: number; channels: number }
  /** The connection that reads the event log works, in a server without a LISTEN connection. */
  | { type: 'database.reached' }
  | ({ type: 'database.unreachable'; attempt: number; retryIn: number } & Failure)
  | { type: 'database.lost'; message: string; channels: number }
  /**
   * The LISTEN connection answers, but no notification arrives on it. `isPooled`: another process answers than the one that accepted
   * the connection, so there is a pooler in between.
   */
  | { type: 'database.deaf'; message: string; isPooled: boolean; channels: number; retryIn: number }
  /** No notification could be sent to the LISTEN connection, so it is unknown whether it delivers. */
  | { type: 'database.unproven'; message: string }
  /** The LISTEN connection has answered. */
  | { type: 'database.heartbeat' }
  | { type: 'channel.listening'; channel: string }
  | { type: 'channel.released'; channel: string }
  | ({ type: 'log.lost'; retryIn: number } & Failure)
  /** Reading fails repeatedly at one place in the log: later events are not delivered. */
  | { type: 'log.stalled'; place: string; message: string }
  | { type: 'log.recovered' }
  /** Values of an event (`columns`), or the whole event, could not be read; reported once in a while for each topic. */
  | { type: 'event.unreadable'; topic: string; columns: string[] | undefined; reason: string; place: string }
  | { type: 'log.rotated'; dropped: number; droppedBytes: number; bytes: number }
  | {
      /** The log exceeds its limit: events were cleared before the retention was over (`early`), or cannot be cleared now. */
      type: 'log.cap-exceeded'
      limit: number
      bytes: number
      early: number
      droppedBytes: number
      busy: string | undefined
    }
  | ({ type: 'log.rotation-failed' } & Failure)
  | { type: 'catalog.absent' }
  | ({ type: 'catalog.failed' } & Failure)
  /** A watched table, or a column of one, is left out, since its name is not valid text. */
  | { type: 'catalog.unreadable'; relid: string; what: 'table' | 'column'; detail: string }
  /** `detail`: the number of a new generation, or a description. */
  | { type: 'table.changed'; table: string; change: 'again' | 'generation' | 'gone'; detail: string }
  | { type: 'table.lacking'; table: string; detail: string }
  /** The policies of tables cannot be evaluated: tables under row-level security wait. */
  | ({ type: 'policies.lost'; retryIn: number } & Failure)
  /** The policies failed for one viewer, whose stream ends. */
  | { type: 'policy.failed'; table: string; role: string; message: string }
  /** A policy that live queries of viewers could not follow, so that they are refused. */
  | { type: 'policy.unfollowed'; message: string; hint: string | undefined }
  /** The rights of roles cannot be read; the known rights remain in force. */
  | ({ type: 'rights.failed' } & Failure)
  | { type: 'snapshot.failed'; table: string; message: string }
  | { type: 'schema.built'; tables: number }
  | { type: 'schema.renamed'; message: string }
  /** A comment in Postgres that gives a name which cannot be used. */
  | { type: 'schema.ignored'; message: string }
  | { type: 'reading.paused'; subscribers: number }
  | { type: 'reading.resumed'; pausedFor: number }
  | { type: 'event.too-large'; topic: string; bytes: number; limit: number }
  | { type: 'subscriber.joined'; transport: string; topic: string; remote: string }
  | { type: 'subscriber.left'; transport: string; topic: string; remote: string }
  | { type: 'subscriber.cut'; transport: string; remote: string; reason: CutReason; waiting: number }
  | { type: 'request.refused'; transport: string; remote: string; status: number; message: string }
  /** A viewer was refused, or what it requested was; `reason` is for the log only. */
  | { type: 'viewer.refused'; transport: string; remote: string; code: string; reason: string }
  /** The server ended a viewer's connections and streams: the token has expired, or the viewer was kicked. */
  | { type: 'viewer.ended'; transport: string; remote: string; reason: string }
  /** Viewers cannot use a role that the configuration names. `option` is the flag that names it. */
  | { type: 'role.unusable'; role: string; option: string; message: string; hint: string }
  | { type: 'role.usable'; role: string; option: string }
  /** Kicks are not available. */
  | { type: 'kicks.absent'; access: 'no schema' | 'no function' | 'no right' }
  /** The server cannot read kicks and roles from the database. */
  | ({ type: 'viewers.unchecked' } & Failure)
  | { type: 'fault'; id: string; message: string; error: unknown }

/** Takes observations, synchronously and in order. An error that it throws reaches the part that reports: do not throw. */
export type Observe = (observation: Observation) => void

/** Whether an observation shows that the database works. */
export function isContact({ type }: Observation): boolean {
  return type === 'database.connected' || type === 'database.reached'
}

/** The failure, if an observation says that the database could not be reached, or does not accept connections. */
export function failureToConnect(observation: Observation): Failure | undefined {
  if (observation.type === 'database.unreachable') return observation
  return 'isAway' in observation && observation.isAway ? observation : undefined
}
