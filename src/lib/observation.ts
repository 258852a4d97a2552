/** Why a connection was cut off: it does not keep up with what is sent to it, or sends no sign of life. */
export type CutReason = 'buffer-full' | 'stalled' | 'memory-full' | 'silent'

/** Why something that needs the database failed. */
export interface Failure {
  /** The cause, in one line. */
  readonly message: string
  /** What to do about it. */
  readonly hint?: string | undefined
  /** The database cannot be reached, or takes no connection of ours: not a matter of this one query. */
  readonly isAway?: boolean | undefined
}

/**
 * What the core has to tell. The core only emits these; logger, metrics and tests choose what to show.
 * Durations are in milliseconds, sizes in bytes.
 */
export type Observation =
  | { type: 'database.connected'; afterAttempts: number; channels: number }
  /** The connection that reads the event log has its answers, in a server that makes no LISTEN connection. */
  | { type: 'database.reached' }
  | ({ type: 'database.unreachable'; attempt: number; retryIn: number } & Failure)
  | { type: 'database.lost'; message: string; channels: number }
  /**
   * The LISTEN connection answers, and no notification arrives on it. `isPooled`: another process than the one that accepted
   * the connection answers, so that a pooler is in between.
   */
  | { type: 'database.deaf'; message: string; isPooled: boolean; channels: number; retryIn: number }
  /** The LISTEN connection could not be sent a notification, so that it is unknown whether it delivers. */
  | { type: 'database.unproven'; message: string }
  /** The LISTEN connection has answered. */
  | { type: 'database.heartbeat' }
  | { type: 'channel.listening'; channel: string }
  | { type: 'channel.released'; channel: string }
  | ({ type: 'log.lost'; retryIn: number } & Failure)
  /** Reading fails again and again at one place in the log: nothing after it is delivered. */
  | { type: 'log.stalled'; place: string; message: string }
  | { type: 'log.recovered' }
  /** Values of an event (`columns`), or all of it, could not be read; said once in a while for each topic. */
  | { type: 'event.unreadable'; topic: string; columns: string[] | undefined; reason: string; place: string }
  | { type: 'log.rotated'; dropped: number; droppedBytes: number; bytes: number }
  | {
      /** The log is larger than it may be: events that were younger than they may become went (`early`), or cannot go now. */
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
  /** A watched table, or a column of one, is left out, since its name is no text. */
  | { type: 'catalog.unreadable'; relid: string; what: 'table' | 'column'; detail: string }
  /** `detail`: the number of a new generation, or words. */
  | { type: 'table.changed'; table: string; change: 'again' | 'generation' | 'gone'; detail: string }
  | { type: 'table.lacking'; table: string; detail: string }
  /** The policies of tables cannot be asked: those under row-level security wait. */
  | ({ type: 'policies.lost'; retryIn: number } & Failure)
  /** They failed for one viewer, whose stream ends. */
  | { type: 'policy.failed'; table: string; role: string; message: string }
  /** What roles may read cannot be looked at; what was found before goes on. */
  | ({ type: 'rights.failed' } & Failure)
  | { type: 'snapshot.failed'; table: string; message: string }
  | { type: 'schema.built'; tables: number }
  | { type: 'schema.renamed'; message: string }
  | { type: 'reading.paused'; subscribers: number }
  | { type: 'reading.resumed'; pausedFor: number }
  | { type: 'event.too-large'; topic: string; bytes: number; limit: number }
  | { type: 'subscriber.joined'; transport: string; topic: string; remote: string }
  | { type: 'subscriber.left'; transport: string; topic: string; remote: string }
  | { type: 'subscriber.cut'; transport: string; remote: string; reason: CutReason; waiting: number }
  | { type: 'request.refused'; transport: string; remote: string; status: number; message: string }
  /** A viewer was not let in, or not to what it asked for; `reason` is for the log alone. */
  | { type: 'viewer.refused'; transport: string; remote: string; code: string; reason: string }
  /** What viewers have open was ended: the token has expired, or they were kicked. */
  | { type: 'viewer.ended'; transport: string; remote: string; reason: string }
  /** A role that the configuration names cannot be taken by viewers. `option` is the flag that names it. */
  | { type: 'role.unusable'; role: string; option: string; message: string; hint: string }
  | { type: 'role.usable'; role: string; option: string }
  /** Nobody can be kicked. */
  | { type: 'kicks.absent'; access: 'no schema' | 'no function' | 'no right' }
  /** The database does not say who was kicked and which roles may be taken. */
  | ({ type: 'viewers.unchecked' } & Failure)
  | { type: 'fault'; id: string; message: string; error: unknown }

export type Observe = (observation: Observation) => void

/** Whether an observation says that the database is there. */
export function isContact({ type }: Observation): boolean {
  return type === 'database.connected' || type === 'database.reached'
}

/** Of an observation that the database could not be reached, or takes no connection of ours: why. */
export function failureToConnect(observation: Observation): Failure | undefined {
  if (observation.type === 'database.unreachable') return observation
  return 'isAway' in observation && observation.isAway ? observation : undefined
}
