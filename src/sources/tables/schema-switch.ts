import type { WatchedTable } from '../../catalog/watched-table.js'
import type { LogEvent } from '../../log/log-event.js'
import type { Checkpoint } from '../../log/pump.js'
import type { Tables } from './tables.js'

/** The parts that a schema switch changes. */
export interface SwitchTarget {
  readonly tables: Pick<Tables, 'settled' | 'switchTo' | 'reached' | 'generationOf'>
  /** Reads the catalogue now, because an event has this generation of a table. */
  readonly refresh: (relid: string, generation: number) => Promise<void>
  /** The tables have changed at this position of the log. The pump waits until it resolves. */
  readonly onSwitched: (tables: readonly WatchedTable[]) => Promise<void>
}

/** Puts the catalogue's list of watched tables into force between two events: at the position in the log where it becomes true. */
export interface SchemaSwitch extends Checkpoint {
  /**
   * Offers the list that the catalogue has just read. It replaces an offered list that is not in force yet.
   * @param paused oids of watched tables whose history is incomplete at the moment. Default: none
   */
  offer(tables: readonly WatchedTable[], paused?: readonly string[]): void
  /** Sets the parts to switch. To be called once, before the log is followed. */
  setTarget(target: SwitchTarget): void
}

/**
 * When the catalogue is read, the log may not have been dispatched up to that moment: events of a former generation follow, and must
 * be read with the former columns. A new list therefore waits until the log has been dispatched up to the beginning of the new
 * histories, or to the first event of a new generation.
 */
export function createSchemaSwitch(): SchemaSwitch {
  let target: SwitchTarget | undefined
  let offered: readonly WatchedTable[] | undefined
  let paused: readonly string[] = []
  /**
   * Whether `offered` was known before the last read of the log. Then every event before it has been dispatched once the log is
   * read to its end.
   */
  let isSeen = false
  /** The newest generation of each table for which the catalogue has been read again. */
  const refreshed = new Map<string, number>()

  async function switchTo({ tables, onSwitched }: SwitchTarget, isReached: boolean): Promise<void> {
    const list = offered as readonly WatchedTable[]
    offered = undefined
    const settling = tables.settled() // events that wait for policies must be read with the former columns
    if (settling) await settling
    tables.switchTo(list, isReached, paused)
    await onSwitched(list)
  }

  /** Whether an event comes after all events that must be read with the former columns. */
  function needsNewSchema(event: LogEvent, list: readonly WatchedTable[], { tables }: SwitchTarget): boolean {
    return list.every(({ relid, generation, since }) => {
      const known = tables.generationOf(relid)
      if (known === undefined || known === generation) return true
      return event.position.n > since.n || (event.topic === relid && event.generation >= generation)
    })
  }

  async function catchUpWith({ topic, generation }: LogEvent, to: SwitchTarget): Promise<void> {
    refreshed.set(topic, generation) // once: if the login may not refresh the catalogue, the former columns are used
    await to.refresh(topic, generation)
    if (offered) await switchTo(to, false)
  }

  return {
    setTarget(to) {
      target = to
    },
    offer(list, without = []) {
      offered = list
      paused = without
      isSeen = false
    },
    beforePull() {
      if (offered) isSeen = true
    },
    advanceTo(event) {
      if (!target) return undefined
      if (offered && needsNewSchema(event, offered, target)) return switchTo(target, false)
      if (event.kind !== 't') return undefined
      const known = target.tables.generationOf(event.topic)
      const isNew = known !== undefined && event.generation > Math.max(known, refreshed.get(event.topic) ?? 0)
      return isNew ? catchUpWith(event, target) : undefined
    },
    caughtUp(isRead) {
      if (!target) return undefined
      if (offered && isSeen) return switchTo(target, isRead)
      if (isRead) target.tables.reached() // the list in force was known before the last read
      return undefined
    },
  }
}
