import type { WatchedTable } from '../../catalog/watched-table.js'
import type { LogEvent } from '../../log/log-event.js'
import type { Checkpoint } from '../../log/pump.js'
import type { Tables } from './tables.js'

/** What a change of the schema concerns. */
export interface SwitchTarget {
  readonly tables: Pick<Tables, 'settled' | 'switchTo' | 'reached' | 'generationOf'>
  /** Reads the catalogue now, because an event says that a table has this generation. */
  readonly refresh: (relid: string, generation: number) => Promise<void>
  /** The tables have changed at this place of the log, which waits until it resolves. */
  readonly onSwitched: (tables: readonly WatchedTable[]) => Promise<void>
}

/** Takes what the catalogue says about watched tables into force, each change at its place in the log. */
export interface SchemaSwitch extends Checkpoint {
  /**
   * What the catalogue says now.
   * @param paused oids of tables that are watched and have no whole history at the moment. Default: none
   */
  offer(tables: readonly WatchedTable[], paused?: readonly string[]): void
  /** To be called once, before the log is followed. */
  concerns(target: SwitchTarget): void
}

/**
 * The catalogue is read at one moment, and the log may not have been dispatched up to that moment: events of a former generation
 * are still to come, and have to meet the columns that they were made of. A new list therefore waits until the log has been
 * dispatched up to where the new histories begin, or to the first event of a new generation.
 */
export function createSchemaSwitch(): SchemaSwitch {
  let target: SwitchTarget | undefined
  let offered: readonly WatchedTable[] | undefined
  let paused: readonly string[] = []
  /** Whether `offered` was there at the last pull: then everything before it has been dispatched at the end of the pages. */
  let isSeen = false
  /** The newest generation of each table that the catalogue was asked for. */
  const asked = new Map<string, number>()

  async function switchTo({ tables, onSwitched }: SwitchTarget, isReached: boolean): Promise<void> {
    const list = offered as readonly WatchedTable[]
    offered = undefined
    const settling = tables.settled() // what waits for policies has to meet the former columns
    if (settling) await settling
    tables.switchTo(list, isReached, paused)
    await onSwitched(list)
  }

  /** Whether an event comes after everything that is to meet the former columns. */
  function needsNewSchema(event: LogEvent, list: readonly WatchedTable[], { tables }: SwitchTarget): boolean {
    return list.every(({ relid, generation, since }) => {
      const known = tables.generationOf(relid)
      if (known === undefined || known === generation) return true
      return event.position.n > since.n || (event.topic === relid && event.generation >= generation)
    })
  }

  async function catchUpWith({ topic, generation }: LogEvent, to: SwitchTarget): Promise<void> {
    asked.set(topic, generation) // once: where it may not be refreshed, the former columns must do
    await to.refresh(topic, generation)
    if (offered) await switchTo(to, false)
  }

  return {
    concerns(to) {
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
      const isNew = known !== undefined && event.generation > Math.max(known, asked.get(event.topic) ?? 0)
      return isNew ? catchUpWith(event, target) : undefined
    },
    caughtUp(isRead) {
      if (!target) return undefined
      if (offered && isSeen) return switchTo(target, isRead)
      if (isRead) target.tables.reached() // the list in force was there at the last pull
      return undefined
    },
  }
}
