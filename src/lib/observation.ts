/** Why a subscriber that does not keep up was cut off. */
export type CutReason = 'too much waits' | 'nothing moves'

/**
 * What the core has to tell. The core only emits these; logger, metrics and tests choose what to show.
 * Durations are in milliseconds, sizes in bytes.
 */
export type Observation =
  | { type: 'database.connected'; afterAttempts: number; channels: number }
  | { type: 'database.unreachable'; message: string; attempt: number; retryIn: number }
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
  | { type: 'log.lost'; message: string; retryIn: number }
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
  | { type: 'log.rotation-failed'; message: string }
  | { type: 'catalog.absent' }
  | { type: 'catalog.failed'; message: string; hint: string | undefined }
  /** A watched table, or a column of one, is left out, since its name is no text. */
  | { type: 'catalog.unreadable'; relid: string; what: 'table' | 'column'; detail: string }
  /** `detail`: the number of a new generation, or words. */
  | { type: 'table.changed'; table: string; change: 'again' | 'generation' | 'gone'; detail: string }
  | { type: 'table.lacking'; table: string; detail: string }
  /** The policies of tables cannot be asked: those under row-level security wait. */
  | { type: 'policies.lost'; message: string; retryIn: number }
  /** They failed for one viewer, whose stream ends. */
  | { type: 'policy.failed'; table: string; role: string; message: string }
  /** What roles may read cannot be looked at; what was found before goes on. */
  | { type: 'rights.failed'; message: string }
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
  /** Nobody can be kicked. */
  | { type: 'kicks.absent'; access: 'no schema' | 'no function' | 'no right' }
  /** The database does not say who was kicked and which roles may be taken. */
  | { type: 'viewers.unchecked'; message: string }
  | { type: 'fault'; id: string; message: string; error: unknown }

export type Observe = (observation: Observation) => void
