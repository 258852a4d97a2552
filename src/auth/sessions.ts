import { atTime } from '../lib/deadline.js'
import type { ListenqlError } from '../lib/errors.js'
import type { Stop } from '../lib/stop.js'
import { sessionEnded, tokenExpired } from './errors.js'
import type { Viewer } from './viewer.js'

/** An open connection or stream of a viewer. */
export interface Session {
  /** Called once, never within `open`, when the viewer's session has ended. */
  endSession(reason: ListenqlError): void
}

/** The open connections and streams of viewers. */
export interface Sessions {
  /** Registers an open connection or stream of a viewer, until `close` is called. */
  open(viewer: Viewer, session: Session): void
  /** The connection or stream is closed. Idempotent. */
  close(session: Session): void
  /** Ends the connections and streams of the viewers that match. The reason tells clients whether another token would help. */
  endWhere(isOver: (viewer: Viewer) => boolean, reason: ListenqlError): void
  /** The roles of the registered viewers. */
  roles(): Set<string>
  readonly size: number
}

/** @param isOver whether a viewer is no longer served, although the token has not expired */
export function createSessions(isOver: (viewer: Viewer) => boolean): Sessions {
  const open = new Map<Session, { readonly viewer: Viewer; readonly stopClock: Stop | undefined }>()

  function close(session: Session): boolean {
    open.get(session)?.stopClock?.()
    return open.delete(session)
  }

  function finish(session: Session, reason: ListenqlError): void {
    if (close(session)) session.endSession(reason)
  }

  return {
    open(viewer, session) {
      const { role, expiresAt } = viewer
      if (role === undefined) return
      const stopClock =
        expiresAt === undefined ? undefined : atTime(expiresAt, () => finish(session, tokenExpired()))
      open.set(session, { viewer, stopClock })
      // The viewer may have been kicked since the token was checked.
      if (isOver(viewer)) setImmediate(() => finish(session, sessionEnded()))
    },
    close: session => void close(session),
    endWhere(isOver, reason) {
      for (const [session, { viewer }] of [...open]) if (isOver(viewer)) finish(session, reason)
    },
    roles() {
      return new Set([...open.values()].flatMap(({ viewer }) => viewer.role ?? []))
    },
    get size() {
      return open.size
    },
  }
}
