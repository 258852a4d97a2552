import { atTime } from '../lib/deadline.js'
import type { ListenqlError } from '../lib/errors.js'
import { sessionEnded, tokenExpired } from './errors.js'
import type { Viewer } from './viewer.js'

/** The open connections and streams of viewers. */
export interface Sessions {
  /**
   * Registers an open connection or stream of a viewer.
   * @param end called once, never within `open`, when the viewer's time is over
   * @returns call it when the connection or stream is closed
   */
  open(viewer: Viewer, end: (reason: ListenqlError) => void): () => void
  /** Ends the connections and streams of the viewers that match. The reason tells clients whether another token would help. */
  endWhere(isOver: (viewer: Viewer) => boolean, reason: ListenqlError): void
  /** The roles of the registered viewers. */
  roles(): Set<string>
  readonly size: number
}

/** @param isOver whether a viewer is no longer served, although the token has not expired */
export function createSessions(isOver: (viewer: Viewer) => boolean): Sessions {
  const open = new Map<object, { readonly viewer: Viewer; finish(reason: ListenqlError): void }>()
  return {
    open(viewer, end) {
      if (viewer.role === undefined) return () => undefined
      const key = {}
      const finish = (reason: ListenqlError) => {
        if (close()) end(reason)
      }
      const stopClock =
        viewer.expiresAt === undefined
          ? () => undefined
          : atTime(viewer.expiresAt, () => finish(tokenExpired()))
      const close = (): boolean => {
        stopClock()
        return open.delete(key)
      }
      open.set(key, { viewer, finish })
      // The viewer may have been kicked since the token was checked.
      if (isOver(viewer)) setImmediate(() => finish(sessionEnded()))
      return () => void close()
    },
    endWhere(isOver, reason) {
      for (const { viewer, finish } of [...open.values()]) if (isOver(viewer)) finish(reason)
    },
    roles() {
      return new Set([...open.values()].flatMap(({ viewer }) => viewer.role ?? []))
    },
    get size() {
      return open.size
    },
  }
}
