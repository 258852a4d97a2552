import type { Settings } from '../../config/index.js'
import { createDeclaredTables, type DeclaredTables, type DeclaredTablesOptions } from '../declared-tables.js'
import type { PrepareReload } from './reload.js'

/** The tables that the configuration declares, which a reload compares again. */
export interface ReloadingTables {
  /** See DeclaredTables. */
  readonly check: DeclaredTables['check']
  readonly prepare: PrepareReload
  /** Idempotent. */
  close(): Promise<void>
}

export function createReloadingTables(
  settings: Pick<Settings, 'tables' | 'unwatchOthers'>,
  options: Omit<DeclaredTablesOptions, 'tables' | 'unwatchOthers' | 'isStart'>,
): ReloadingTables {
  const read = ({ tables, unwatchOthers }: typeof settings, isStart: boolean) =>
    tables.length > 0 ? createDeclaredTables({ ...options, tables, unwatchOthers, isStart }) : undefined
  let present = read(settings, true)
  return {
    check: async pulse => (await present?.check(pulse)) ?? false,
    prepare(next) {
      const isSame = JSON.stringify(next.tables) === JSON.stringify(settings.tables)
      if (isSame && next.unwatchOthers === settings.unwatchOthers) return () => undefined
      const tables = read(next, false)
      return () => {
        void present?.close()
        present = tables
        options.onWatched()
      }
    },
    close: async () => present?.close(),
  }
}
