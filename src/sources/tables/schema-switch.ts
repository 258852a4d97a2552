import type { WatchedTable } from '../../catalog/watched-table.js'
import type { LogEvent } from '../../log/log-event.js'
import type { Checkpoint } from '../../log/log-follower.js'
import type { Tables } from './table-feed.js'

export interface SchemaSwitchOptions {
  readonly tables: Tables
  /** Looks at the catalogue now, because an event says that a table has this generation. */
  readonly refresh: (relid: string, generation: number) => Promise<void>
  /** The tables have changed, as far as the log has been handed on. The log waits until it resolves. */
  readonly onSwitched: (tables: readonly WatchedTable[]) => Promise<void>
}

/** Takes what the catalogue says about watched tables into force, each change at its place in the log. */
export interface SchemaSwitch extends Checkpoint {
  /**
   * What the catalogue says now.
   * @param paused oids of tables that are watched and have no whole history at the moment. Default: none
   */
  offer(tables: readonly WatchedTable[], paused?: readonly string[]): void
}

/**
 * A catalogue is read at one moment, the log may be behind that: events of a former generation are still to come, and have to
 * meet the columns that they were made of. A new list therefore waits until the log has been handed on up to where the new
 * histories begin, or to the first event of a new generation.
 */
export function createSchemaSwitch({ tables, refresh, onSwitched }: SchemaSwitchOptions): SchemaSwitch {
  let offered: readonly WatchedTable[] | undefined
  let paused: readonly string[] = []
  /** Whether `offered` was there when the ledger was looked at last: then all before it has been handed on. */
  let isSeen = false
  /** The newest generation of each table that the catalogue was asked for. */
  const asked = new Map<string, number>()

  async function switchTo(isReached: boolean): Promise<void> {
    const list = offered as readonly WatchedTable[]
    offered = undefined
    const settling = tables.settled() // what waits to be handed on has to meet the former columns
    if (settling) await settling
    tables.switchTo(list, isReached, paused)
    await onSwitched(list)
  }

  /** Whether an event stands behind everything that is to meet the former columns. */
  function needsNewSchema(event: LogEvent, list: readonly WatchedTable[]): boolean {
    return list.every(({ relid, generation, since }) => {
      const known = tables.generationOf(relid)
      if (known === undefined || known === generation) return true
      return event.position.n > since.n || (event.topic === relid && event.generation >= generation)
    })
  }

  async function catchUpWith({ topic, generation }: LogEvent): Promise<void> {
    asked.set(topic, generation) // once: where it may not be refreshed, the former columns must do
    await refresh(topic, generation)
    if (offered) await switchTo(false)
  }

  return {
    offer(list, without = []) {
      offered = list
      paused = without
      isSeen = false
    },
    pulling() {
      if (offered) isSeen = true
    },
    before(event) {
      if (offered && needsNewSchema(event, offered)) return switchTo(false)
      if (event.kind !== 't') return undefined
      const known = tables.generationOf(event.topic)
      const isNew = known !== undefined && event.generation > Math.max(known, asked.get(event.topic) ?? 0)
      return isNew ? catchUpWith(event) : undefined
    },
    drained(isHandedOn) {
      if (offered && isSeen) return switchTo(isHandedOn)
      if (isHandedOn) tables.reached() // the list in force was there when the ledger was looked at
      return undefined
    },
  }
}
