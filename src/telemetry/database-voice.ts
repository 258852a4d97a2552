import type { Failure } from '../lib/observation.js'
import type { Logger } from './logger.js'

/** A failure of one part of the server: the event log, the catalogue, … */
export interface PartFailure extends Partial<Failure> {
  readonly message: string
  /** Which part; of one part the same failure is told of once. */
  readonly part: string
  /** The line for the log, without what to do about it. */
  readonly line: string
}

/**
 * Says in the log what has become of the database: one line whenever that changes, however many connections of the server
 * notice it, and however often each tries again.
 */
export interface DatabaseVoice {
  /** The LISTEN connection, by which the state of the database is judged, is there. */
  connected(channels: number): void
  /** There is no LISTEN connection; that which reads the event log is there, by which the state is judged then. */
  reached(): void
  lost(message: string): void
  unreachable(failure: { readonly message: string; readonly hint?: string | undefined }): void
  /** It answers, but does not deliver notifications. */
  deaf(state: { readonly message: string; readonly isPooled: boolean }): void
  /** Whether it delivers notifications cannot be tried. */
  unproven(message: string): void
  /** Said at once, unless the database is away; what the LISTEN connection may notice, too, only after a moment. */
  partFailed(failure: PartFailure): void
}

/** How long the LISTEN connection may take to notice what another connection has noticed, in ms. */
const SAME_LOSS_MS = 1000

/** After so many ms a reason may be given again, if a part still fails for it, or the database is away for it once more. */
const REPEAT_MS = 600_000

export function createDatabaseVoice(logger: Logger): DatabaseVoice {
  let state: 'unknown' | 'there' | 'deaf' | 'away' = 'unknown'
  let cause: string | undefined
  let isUnprovenTold = false
  let hasListener = true
  /** Why the database has been away since it was last there, and when each reason was given. */
  const given = new Map<string, number>()
  const parts = new Map<string, { readonly message: string; readonly at: number }>()

  function unreachable({ message, hint }: { readonly message: string; readonly hint?: string | undefined }) {
    const now = performance.now()
    for (const [reason, at] of given) if (now - at >= REPEAT_MS) given.delete(reason)
    // Attempts that fail for two reasons by turns (a pooler, a host of two addresses) give each once.
    const isKnown = message === cause || given.has(message)
    state = 'away'
    cause = message
    if (isKnown) return logger.debug(`The database still cannot be reached: ${message}.`)
    given.set(message, now)
    logger.warn(`The database cannot be reached: ${withHint(message, hint)} The server keeps trying.`)
  }

  function say({ part, message, line, hint }: PartFailure): void {
    const before = parts.get(part)
    if (before?.message === message && performance.now() - before.at < REPEAT_MS) return logger.debug(line)
    parts.set(part, { message, at: performance.now() })
    logger.warn(withHint(line.replace(/\.$/, ''), hint))
  }

  return {
    connected(channels) {
      const wasAway = state === 'away' || state === 'deaf'
      state = 'there'
      cause = undefined
      given.clear()
      parts.clear()
      if (!wasAway) return logger.debug('The database is there.')
      logger.info(
        `The database is there; listening to ${channels} ${channels === 1 ? 'channel' : 'channels'}.`,
      )
    },
    reached() {
      hasListener = false
      const wasAway = state === 'away'
      state = 'there'
      if (!wasAway) return
      cause = undefined
      given.clear()
      parts.clear()
      logger.info('The database is there.')
    },
    lost(message) {
      state = 'away'
      cause = undefined
      logger.warn(
        `The database connection was lost: ${message}. Subscribers stay and get a gap; connecting again.`,
      )
    },
    unreachable,
    deaf(found) {
      const isKnown = state === 'deaf'
      state = 'deaf'
      cause = undefined
      if (isKnown) logger.debug(`Notifications still are not delivered: ${found.message}.`)
      else logger.warn(deafWords(found))
    },
    unproven(message) {
      if (isUnprovenTold) return
      isUnprovenTold = true
      logger.warn(
        `Whether notifications arrive is unproven: the server could not send one to itself (${message}). It tries again with each heartbeat.`,
      )
    },
    partFailed(failure) {
      if (!failure.isAway) return say(failure)
      if (state === 'unknown') return unreachable(failure)
      if (state === 'away') return logger.debug(failure.line)
      if (!hasListener && failure.part === 'log') return unreachable(failure)
      setTimeout(() => {
        if (state !== 'away') say(failure)
      }, SAME_LOSS_MS).unref()
    },
  }
}

/** `what. What to do.` */
export function withHint(text: string, hint: string | undefined): string {
  if (hint === undefined) return `${text}.`
  return `${text}. ${hint.charAt(0).toUpperCase()}${hint.slice(1)}${/[.?;]$/.test(hint) ? '' : '.'}`
}

function deafWords({ message, isPooled }: { readonly message: string; readonly isPooled: boolean }): string {
  const cause = isPooled
    ? 'a connection pooler in transaction mode (PgBouncer or the like) is in between, which cannot carry LISTEN'
    : 'a connection pooler in transaction mode, or another proxy, may be in between'
  return `Notifications are not delivered: ${message}; ${cause}. Subscribers of channels wait. Connect to Postgres directly, with --database-url (DATABASE_URL); if only watched tables are to be served, use --doorbell poll and --channels ''. The server tries again and again.`
}
