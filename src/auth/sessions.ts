import { atTime } from '../lib/deadline.js'
import type { ListenqlError } from '../lib/errors.js'
import { sessionEnded, tokenExpired } from './errors.js'
import type { Viewer } from './viewer.js'

/** What viewers have open. */
export interface Sessions {
  /**
   * Something stays open for a viewer: a connection, or a stream.
   * @param end called once, never within `open`, when the viewer's time is over
   * @returns to be called when it is closed
   */
  open(viewer: Viewer, end: (reason: ListenqlError) => void): () => void
  /** Ends whatever is open for viewers of whom this holds. */
  endWhere(isOver: (viewer: Viewer) => boolean): void
  /** The roles under which something is open. */
  roles(): Set<string>
  readonly size: number
}

/** @param isOver whether a viewer is not served any more, though the token has not expired */
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
      // Kicked between the look at the token and now.
      if (isOver(viewer)) setImmediate(() => finish(sessionEnded()))
      return () => void close()
    },
    endWhere(isOver) {
      for (const { viewer, finish } of [...open.values()]) if (isOver(viewer)) finish(sessionEnded())
    },
    roles() {
      return new Set([...open.values()].flatMap(({ viewer }) => viewer.role ?? []))
    },
    get size() {
      return open.size
    },
  }
}
