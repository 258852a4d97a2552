import { ListenqlError } from '../lib/errors.js'
import type { Stop } from '../lib/stop.js'
import type { LogEvent } from './log-event.js'

/** Receives the events of one topic. */
export interface LogListener {
  /** Called synchronously. */
  event(event: LogEvent): void
  /** The history has ended (a failover, a restore, an altered table). No call follows. */
  lost(error: ListenqlError): void
}

/**
 * The listeners of the log by topic: a table by its oid, or a channel by its name. A listener gets every event of its topic from
 * `follow` on, or `lost`: never a history with a hole.
 */
export interface LogTopics {
  follow(kind: LogEvent['kind'], topic: string, listener: LogListener): Stop
  /**
   * Passes an event to the listeners of its topic. A listener that throws is removed and gets `lost`; the others are not affected.
   * An unreadable event of a table ends the history of that table.
   */
  dispatch(event: LogEvent): void
  /** Ends the history of a topic: removes its listeners and calls their `lost`. */
  end(kind: LogEvent['kind'], topic: string, error: ListenqlError): void
  /** Ends the histories of all topics. */
  endAll(error: ListenqlError): void
}

/** @param onFault receives the error that a listener throws */
export function createLogTopics(onFault: (error: unknown) => void): LogTopics {
  const topics = new Map<string, Set<LogListener>>()

  function end(key: string, error: ListenqlError): void {
    const listeners = topics.get(key)
    topics.delete(key)
    for (const listener of listeners ?? []) listener.lost(error)
  }

  return {
    follow(kind, topic, listener) {
      const key = kind + topic
      let listeners = topics.get(key)
      if (!listeners) {
        listeners = new Set()
        topics.set(key, listeners)
      }
      const followers = listeners.add(listener)
      return () => {
        // After this history has ended, the key may already hold the listeners of the next one.
        if (followers.delete(listener) && followers.size === 0 && topics.get(key) === followers)
          topics.delete(key)
      }
    },
    dispatch(event) {
      const { kind, topic, unreadable } = event
      if (kind === 't' && unreadable !== undefined) return end(kind + topic, hole())
      const listeners = topics.get(kind + topic)
      if (!listeners) return
      let failed: LogListener[] | undefined
      for (const listener of listeners) {
        try {
          listener.event(event)
        } catch (error) {
          onFault(error)
          failed ??= []
          failed.push(listener)
        }
      }
      // After the loop: a listener that follows again in `lost` must not get this event.
      for (const listener of failed ?? []) {
        // The listener has missed this event; later events would make its history look complete.
        listeners.delete(listener)
        listener.lost(new ListenqlError('DATABASE_FAILED', 'an event of the log could not be read'))
      }
    },
    end: (kind, topic, error) => end(kind + topic, error),
    endAll(error) {
      const all = [...topics.values()]
      topics.clear()
      for (const listeners of all) for (const listener of listeners) listener.lost(error)
    },
  }
}

/** CURSOR_EXPIRED: nothing of an event of the table can be read, not even its key. */
export function hole(): ListenqlError {
  return new ListenqlError('CURSOR_EXPIRED', 'a change of this table cannot be read', {
    hint: 'read a snapshot, and subscribe after its cursor',
  })
}
