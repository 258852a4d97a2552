/** Why a connection was cut off: it does not keep up with its data, or is silent. */
export type CutReason = 'buffer-full' | 'stalled' | 'memory-full' | 'silent'

/** Why the server ends what a viewer has open. */
export type SessionEnd = 'kicked' | 'token-expired' | 'role-lost' | 'channel-lost'

/** The viewer of a client, where viewers have roles. */
export interface ViewerName {
  readonly role?: string | undefined
  /** The claim `sub`. */
  readonly user?: string | undefined
}

/** An operation of GraphQL, without values of arguments and variables. */
export interface OperationSummary {
  readonly kind: 'query' | 'mutation' | 'subscription'
  readonly name: string | undefined
  /** The names of the root fields. */
  readonly fields: readonly string[]
  /** The id of a trusted document, else `sha256:` and the hash of the document's text. */
  readonly document: string
}
/** What a subscription delivers. */
export type SubscriptionKind = 'table' | 'channel' | 'live'

/** What rows are read for. */
export type ReadPurpose = 'query' | 'live'

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
  /** The subscribers of a channel get a gap: the LISTEN connection was lost, or the history of the log has ended. */
  | { type: 'channel.gap'; channel: string; cause: 'outage' | 'history' }
  /** A connection begins to read the log; all but the first replace one that was lost. */
  | { type: 'log.followed' }
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
  /** The server begins to watch this number of tables that its configuration declares. */
  | { type: 'tables.watching'; tables: number }
  | { type: 'tables.watched'; tables: readonly string[] }
  /** Tables that are watched although the configuration does not declare them. */
  | { type: 'tables.undeclared'; tables: readonly string[] }
  | { type: 'tables.unwatched'; tables: readonly string[] }
  /** Tables that the configuration declares and the server cannot watch. */
  | { type: 'tables.unwatchable'; tables: readonly string[]; message: string; hint: string | undefined }
  /** Patterns of the configuration that match no table. */
  | { type: 'tables.unmatched'; patterns: readonly string[] }
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
  /** Rows have been read, for as many equal requests; `purpose`: for queries and `initial`, or for live queries. */
  | { type: 'snapshot.read'; purpose: ReadPurpose; took: number; rows: number; requests: number }
  /** A live query has been read. */
  | { type: 'live.read'; isNew: boolean }
  /** The policies of a table have decided about one batch of changes and viewers. */
  | { type: 'policies.checked'; table: string; took: number }
  /** Other settings are in force: those of the options `changed`, and what the files hold; `isAsked`: not only because files have changed. */
  | {
      type: 'settings.reloaded'
      changed: readonly string[]
      needsRestart: readonly string[]
      isAsked: boolean
    }
  /** The settings could not be reloaded; the former ones stay in force. */
  | { type: 'settings.refused'; message: string; hint: string | undefined }
  | { type: 'schema.built'; tables: readonly string[] }
  | { type: 'schema.renamed'; message: string }
  /** A comment in Postgres that gives a name which cannot be used. */
  | { type: 'schema.ignored'; message: string }
  | { type: 'reading.paused'; subscribers: number }
  | { type: 'reading.resumed'; pausedFor: number }
  | { type: 'event.too-large'; topic: string; bytes: number; limit: number }
  | ({ type: 'subscriber.joined' } & SubscriberObserved)
  /**
   * `results`: the number of messages with results; `lasted`: in ms; `reason`: `client`, `stopping`, `gap`, the code of an error, or
   * why the connection or the viewer's session was ended.
   */
  | ({ type: 'subscriber.left'; results: number; lasted: number; reason: string } & SubscriberObserved)
  /** A subscriber that resumed, or began with rows, has joined the live stream; it has taken `took` ms. */
  | { type: 'subscriber.caught-up'; topic: string; took: number }
  | { type: 'subscriber.cut'; transport: string; remote: string; reason: CutReason; waiting: number }
  | { type: 'request.refused'; transport: string; remote: string; status: number; message: string }
  /** A viewer was refused, or what it requested was; `reason` is for the log only. */
  | { type: 'viewer.refused'; transport: string; remote: string; code: string; reason: string }
  /** The server ended a viewer's connections and streams: the token has expired, or the viewer was kicked. */
  | ({
      type: 'viewer.ended'
      transport: string
      remote: string
      reason: string
      why: SessionEnd
    } & ViewerName)
  /** An operation, a connection or a message was refused; `limit` is the option whose limit was exceeded. */
  | ({
      type: 'operation.refused'
      transport: string
      remote: string
      code: string
      limit?: string | undefined
      operation?: OperationSummary | undefined
    } & ViewerName)
  /** A viewer has sent a notification. */
  | ({ type: 'channel.published'; transport: string; remote: string; channel: string } & ViewerName)
  /** Lines of the audit log could not be written. */
  | { type: 'audit.lost'; lines: number; reason: string }
  /** Viewers cannot use a role that the configuration names. `option` is the flag that names it. */
  | { type: 'role.unusable'; role: string; option: string; message: string; hint: string }
  | { type: 'role.usable'; role: string; option: string }
  /** Kicks are not available. */
  | { type: 'kicks.absent'; access: 'no schema' | 'no function' | 'no right' }
  /** The server cannot read kicks and roles from the database. */
  | ({ type: 'viewers.unchecked' } & Failure)
  /** An operation failed with a code of this server. Mistakes in documents and variables are not observed. */
  | { type: 'client.error'; code: string }
  /** Metrics could not be sent by OTLP. */
  | ({ type: 'metrics.unexported' } & Failure)
  | { type: 'fault'; id: string; message: string; error: unknown }

/** A subscription; `subscription` is its number, from the start of the server. */
interface SubscriberObserved extends ViewerName {
  readonly subscription: number
  readonly transport: string
  /** What `topic` is, or `live` for a live query, whose topic is the table of its root. */
  readonly kind: SubscriptionKind
  readonly topic: string
  readonly remote: string
  /** Undefined on a transport without GraphQL. */
  readonly operation?: OperationSummary | undefined
}

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
