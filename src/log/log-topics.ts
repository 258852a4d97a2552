import { ListenqlError } from '../lib/errors.js'
import type { Stop } from '../lib/stop.js'
import type { LogEvent } from './log-event.js'

/** Gets the events of one topic. */
export interface LogListener {
  /** Called synchronously. */
  event(event: LogEvent): void
  /** The history that was followed has ended (a failover, a restore, the table was altered): nothing more comes. */
  lost(error: ListenqlError): void
}

/** The followers of the log by topic: a table by its oid, or a channel by its name. */
export interface LogTopics {
  follow(kind: LogEvent['kind'], topic: string, listener: LogListener): Stop
  /** Delivers an event. A listener that throws is removed and told so; the others are not affected. */
  dispatch(event: LogEvent): void
  /** Ends the history of a topic: removes its listeners and tells them. */
  end(kind: LogEvent['kind'], topic: string, error: ListenqlError): void
  /** Ends the histories of all topics. */
  endAll(error: ListenqlError): void
}

/** @param onFault takes what a listener throws */
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
        // After this history has ended, the key may be that of the next one, with other listeners.
        if (followers.delete(listener) && followers.size === 0 && topics.get(key) === followers)
          topics.delete(key)
      }
    },
    dispatch(event) {
      const { kind, topic, unreadable } = event
      if (kind === 't' && unreadable !== undefined) return end(kind + topic, hole())
      const listeners = topics.get(kind + topic)
      if (!listeners) return
      for (const listener of listeners) {
        try {
          listener.event(event)
        } catch (error) {
          onFault(error)
          // Without this event, the following ones would look complete.
          listeners.delete(listener)
          listener.lost(new ListenqlError('DATABASE_FAILED', 'an event of the log could not be read'))
        }
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

/** The history of a table that has an event of which nothing can be read, not even its key. */
export function hole(): ListenqlError {
  return new ListenqlError('CURSOR_EXPIRED', 'a change of this table cannot be read', {
    hint: 'read a snapshot, and subscribe after its cursor',
  })
}
