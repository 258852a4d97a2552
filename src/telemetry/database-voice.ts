import type { Failure } from '../lib/observation.js'
import type { Logger } from './logger.js'

/** A failure of one part of the server: the event log, the catalogue, … */
export interface PartFailure extends Partial<Failure> {
  readonly message: string
  /** Which part; the same failure of a part is reported once. */
  readonly part: string
  /** The line for the log, without the remedy. */
  readonly line: string
}

/**
 * Logs the state of the database: one line whenever it changes, however many connections of the server notice it, and however
 * often each of them retries.
 */
export interface DatabaseVoice {
  /** The LISTEN connection, which determines the state of the database, works. */
  connected(channels: number): void
  /** There is no LISTEN connection; the connection that reads the event log, which then determines the state, works. */
  reached(): void
  lost(message: string): void
  unreachable(failure: { readonly message: string; readonly hint?: string | undefined }): void
  /** The database answers, but does not deliver notifications. */
  deaf(state: { readonly message: string; readonly isPooled: boolean }): void
  /** It cannot be checked whether the database delivers notifications. */
  unproven(message: string): void
  /** Logged at once, unless the database is down; after a moment, if the LISTEN connection may notice the same failure. */
  partFailed(failure: PartFailure): void
}

/** How long the LISTEN connection may take to notice a failure that another connection has noticed, in ms. */
const SAME_LOSS_MS = 1000

/** After this many ms a reason may be logged again, if a part still fails for it, or the database is down for it once more. */
const REPEAT_MS = 600_000

export function createDatabaseVoice(logger: Logger): DatabaseVoice {
  let state: 'unknown' | 'there' | 'deaf' | 'away' = 'unknown'
  let cause: string | undefined
  let isUnprovenReported = false
  let hasListener = true
  /** How often the database has been found to be down. */
  let outages = 0
  /** The reasons why the database has been down since it last worked, with the time when each was logged. */
  const given = new Map<string, number>()
  const parts = new Map<string, { readonly message: string; readonly at: number }>()

  function unreachable({ message, hint }: { readonly message: string; readonly hint?: string | undefined }) {
    const now = performance.now()
    for (const [reason, at] of given) if (now - at >= REPEAT_MS) given.delete(reason)
    // If attempts fail for two reasons alternately (a pooler, a host with two addresses), each is logged once.
    const isKnown = message === cause || given.has(message)
    state = 'away'
    outages++
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
      if (!wasAway) return logger.debug('The database is connected.')
      logger.info(
        `The database is connected; listening to ${channels} ${channels === 1 ? 'channel' : 'channels'}.`,
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
      logger.info('The database is connected.')
    },
    lost(message) {
      state = 'away'
      outages++
      cause = undefined
      logger.warn(
        `The database connection was lost: ${message}. Subscribers stay connected and get a gap; the server reconnects.`,
      )
    },
    unreachable,
    deaf(found) {
      const isKnown = state === 'deaf'
      state = 'deaf'
      cause = undefined
      if (isKnown) logger.debug(`Notifications are still not delivered: ${found.message}.`)
      else logger.warn(deafWords(found))
    },
    unproven(message) {
      if (isUnprovenReported) return
      isUnprovenReported = true
      logger.warn(
        `It is unknown whether notifications arrive: the server could not send one to itself (${message}). It tries again with each heartbeat.`,
      )
    },
    partFailed(failure) {
      if (!failure.isAway) return say(failure)
      if (state === 'unknown') return unreachable(failure)
      if (state === 'away') return logger.debug(failure.line)
      if (!hasListener && failure.part === 'log') return unreachable(failure)
      const before = outages
      setTimeout(() => {
        if (outages === before) say(failure) // otherwise the outage has been reported, and may be over
      }, SAME_LOSS_MS).unref()
    },
  }
}

/** `problem. Remedy.` */
export function withHint(text: string, hint: string | undefined): string {
  if (hint === undefined) return `${text}.`
  return `${text}. ${hint.charAt(0).toUpperCase()}${hint.slice(1)}${/[.?;]$/.test(hint) ? '' : '.'}`
}

function deafWords({ message, isPooled }: { readonly message: string; readonly isPooled: boolean }): string {
  const cause = isPooled
    ? 'a connection pooler in transaction mode (PgBouncer or the like) is in between, which cannot carry LISTEN'
    : 'a connection pooler in transaction mode, or another proxy, may be in between'
  return `Notifications are not delivered: ${message}; ${cause}. Subscribers of channels wait. Connect to Postgres directly, with --database-url (DATABASE_URL); if only watched tables are to be served, use --doorbell poll and --channels ''. The server keeps trying.`
}
