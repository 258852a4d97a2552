import type { ConnectionStatus } from '../../src/client/connection/connection-status.js'
import type { Readiness } from './use-readiness.js'

/** The state of server, connection and database in a few words. */
export interface PageStatus {
  /** For the style sheet: `refused` needs the user, `waiting` passes by itself. */
  readonly tone: 'good' | 'waiting' | 'refused' | 'quiet'
  readonly text: string
  /** What it means for what is shown; undefined if all is well. */
  readonly warning?: string
}

/** Whether the server accepts the viewer: its token is refused, or it has none and needs one. */
export type ViewerState = 'accepted' | 'missing' | 'refused'

const STALE = 'What is shown here may be out of date. This message disappears when'

/**
 * The most fundamental trouble comes first: without the server, what it last said of the database counts for nothing.
 * @param viewer a viewer that is refused has no connection, though the server can be reached
 */
export function pageStatus(
  readiness: Readiness,
  { state, since }: ConnectionStatus,
  viewer: ViewerState,
): PageStatus {
  if (viewer !== 'accepted' && readiness !== 'unreachable')
    return { tone: 'refused', text: viewer === 'missing' ? 'Not signed in' : 'Token refused' }
  // A proxy may pass on the connection and not `/readyz`.
  if (state === 'offline' || (readiness === 'unreachable' && state !== 'live' && state !== 'catching-up'))
    return {
      tone: 'waiting',
      text: state === 'offline' ? `Server unreachable since ${clock.format(since)}` : 'Server unreachable',
    }
  if (readiness === 'database unreachable')
    return {
      tone: 'waiting',
      text: 'Database unreachable',
      warning: `The database cannot be reached. ${STALE} the database is back.`,
    }
  if (readiness === 'notifications not delivered')
    return {
      tone: 'waiting',
      text: 'Notifications do not arrive',
      warning: `The database answers, but does not deliver notifications. ${STALE} it delivers them.`,
    }
  if (readiness === 'log stalled')
    return {
      tone: 'waiting',
      text: 'Event log stalled',
      warning: `The server cannot read the event log any further. ${STALE} it can. The log of the server has the reason.`,
    }
  if (readiness === 'stopping') return { tone: 'waiting', text: 'Server stopping' }
  if (state === 'connecting') return { tone: 'quiet', text: 'Connecting…' }
  if (state === 'catching-up') return { tone: 'waiting', text: 'Catching up…' }
  if (readiness === 'unknown') return { tone: 'quiet', text: 'Looking…' }
  return { tone: 'good', text: state === 'live' ? 'Connected' : 'Ready' }
}

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium', hourCycle: 'h23' })
