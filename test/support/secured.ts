import { type Viewer, viewerKey } from '../../src/auth/viewer.js'
import type { WatchedTable } from '../../src/catalog/watched-table.js'
import { createImageReader, type RowImage } from '../../src/filters/index.js'
import { ListenqlError } from '../../src/lib/errors.js'
import { createRowAccess, type RowAccess, type RowAccessOptions } from '../../src/rls/row-access.js'
import { createViewerRoles, type ViewerRoles } from './viewers.js'
import { createWatchedLog, type WatchedLog } from './watched-log.js'

/** Watched tables with row-level security, and a server's checks of their rows. */
export interface Secured {
  readonly watched: WatchedLog
  readonly roles: ViewerRoles
  /** Runs SQL as a superuser. */
  admin(sql: string): Promise<Record<string, unknown>[]>
  /** Creates the row access of a server; it is closed with the rest. */
  start(more?: Partial<RowAccessOptions>): RowAccess
  /**
   * Creates a watched table of schema public with row-level security, which these roles may select from.
   * @param policies SQL that creates them. Default: none
   */
  table(name: string, definition: string, to: readonly string[], policies?: string): Promise<WatchedTable>
  /** Runs SQL, and returns the images of the written rows, as in the log. */
  written(table: WatchedTable, sql: string): Promise<RowImage[]>
  close(): Promise<void>
}

export async function createSecured(): Promise<Secured> {
  const watched = await createWatchedLog()
  const roles = createViewerRoles(watched)
  const started: RowAccess[] = []
  const admin = (sql: string) => watched.log.database.query(sql)
  return {
    watched,
    roles,
    admin,
    start(more = {}) {
      const access = createRowAccess({
        config: watched.server.config,
        connectTimeout: 5000,
        reconnectMax: 100,
        policyTimeout: 5000,
        keepsPrepared: true,
        observe: () => undefined,
        ...more,
      })
      started.push(access)
      return access
    },
    async table(name, definition, to, policies) {
      await watched.table(definition, name)
      await admin(
        `alter table "${name}" enable row level security; grant select on "${name}" to ${to.map(role => `"${role}"`).join(', ')}`,
      )
      if (policies) await admin(policies)
      return watched.find(name)
    },
    async written(table, sql) {
      await watched.log.fresh()
      await admin(sql)
      const read = createImageReader(table.columns)
      return (await watched.log.fresh())
        .filter(({ new: image }) => image !== null)
        .map(event => read(event.new as string))
    },
    async close() {
      await Promise.all(started.map(access => access.close()))
      await roles.close()
      await watched.close()
    },
  }
}

/** Returns for each viewer which images (by their id) are visible, or the code, message and cause of the error. */
export async function seenBy(
  access: RowAccess,
  table: WatchedTable,
  viewers: readonly Viewer[],
  images: readonly RowImage[],
): Promise<unknown[]> {
  const verdicts = await access.sees(table, viewers, images)
  return viewers.map(viewer => {
    const verdict = verdicts.get(viewerKey(viewer, true))
    if (verdict instanceof ListenqlError) return `${verdict.code}: ${verdict.message} (${verdict.cause})`
    return images.filter((_, i) => verdict?.[i]).map(image => image.get('id'))
  })
}
