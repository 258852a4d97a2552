import type { Viewer } from '../../src/auth/viewer.js'
import type { WatchedTable } from '../../src/catalog/watched-table.js'
import { EVERYTHING } from '../../src/filters/index.js'
import type { ListenqlError } from '../../src/lib/errors.js'
import type { Observe } from '../../src/lib/observation.js'
import { LogFollower } from '../../src/log/log-follower.js'
import { createPollDoorbell, type Doorbell } from '../../src/log/pace/doorbell.js'
import { comparePositions, type Position } from '../../src/log/position.js'
import { createRowAccess, type RowAccess, type RowAccessOptions } from '../../src/rls/row-access.js'
import type { CheckVisibility, ReadConditions } from '../../src/rls/visibility.js'
import type { Replay } from '../../src/sources/resume.js'
import type { EventSource } from '../../src/sources/source.js'
import type { AuthorisedChangesRequest } from '../../src/sources/tables/changes-request.js'
import type { Present } from '../../src/sources/tables/present.js'
import type { RowChange } from '../../src/sources/tables/row-change.js'
import { createTables, type Tables } from '../../src/sources/tables/tables.js'
import { waitUntil } from './wait.js'
import type { WatchedLog } from './watched-log.js'

/** Changes of tables as viewers see them, from a real log and real policies, without a server. */
export interface Staged {
  readonly log: LogFollower
  readonly tables: Tables
  readonly rowAccess: RowAccess
  /** Follows what a viewer (undefined: a viewer without restrictions) sees from now on. */
  follow(
    table: WatchedTable,
    viewer: Viewer | undefined,
    more?: Partial<AuthorisedChangesRequest>,
    continuesAfter?: Position,
  ): Promise<Following>
  /** Reads all changes after a position, up to the current end of the log. */
  replay(
    table: WatchedTable,
    viewer: Viewer | undefined,
    after: Position,
    more?: Partial<AuthorisedChangesRequest>,
  ): Promise<RowChange[]>
  /** Returns the position of the current end of the log. */
  end(): Promise<Position>
  close(): Promise<void>
}

export interface Following {
  readonly changes: readonly RowChange[]
  readonly ended: ListenqlError | undefined
  readonly source: EventSource<RowChange>
  readonly replay: Replay<RowChange>
  /** Resolves once every committed event has been delivered. */
  level(): Promise<void>
  stop(): void
}

export async function createStaged(
  { server, log: database }: WatchedLog,
  options: {
    observe?: Observe
    access?: Partial<RowAccessOptions>
    checkVisibility?: (sees: CheckVisibility) => CheckVisibility
    readConditions?: (read: ReadConditions) => ReadConditions
    maxWaiting?: number
    present?: (rowAccess: RowAccess, cursors: LogFollower['cursors']) => Present
    doorbell?: Doorbell
  } = {},
): Promise<Staged> {
  const { observe = () => undefined } = options
  const shared = { config: server.config, connectTimeout: 5000, reconnectMax: 100, observe }
  const rowAccess = createRowAccess({
    ...shared,
    policyTimeout: 5000,
    keepsPrepared: true,
    ...options.access,
  })
  const doorbell = options.doorbell ?? createPollDoorbell({ poll: 5 })
  const log = new LogFollower({ ...shared, doorbell, keepsPrepared: true })
  const tables = createTables({
    log,
    checkVisibility: options.checkVisibility?.(rowAccess.checkVisibility) ?? rowAccess.checkVisibility,
    readConditions: options.readConditions?.(rowAccess.readConditions) ?? rowAccess.readConditions,
    present: options.present?.(rowAccess, log.cursors),
    ...(options.maxWaiting !== undefined && { maxWaiting: options.maxWaiting }),
    observe,
  })
  log.start()
  await log.started()
  const marks = new Map<string, Position>()
  let marked = 0
  log.follow('c', 'mark', {
    event: event => marks.set(event.new as string, event.position),
    lost: () => undefined,
  })
  /** The ledger does not show which commits it contains, so this publishes an event after them and waits for it. */
  async function end(): Promise<Position> {
    const mark = String(++marked)
    await database.query(`select listenql.publish('mark', $1)`, [mark])
    return waitUntil(() => marks.get(mark), 'the log to be dispatched')
  }

  const sourceOf = (
    table: WatchedTable,
    viewer: Viewer | undefined,
    more: Partial<AuthorisedChangesRequest> = {},
  ) =>
    tables.changes(table, {
      filter: EVERYTHING,
      operations: undefined,
      after: undefined,
      used: table.columns.map(({ name }) => name),
      usesKey: true,
      viewer,
      ...more,
    })
  const replayOf = (source: EventSource<RowChange>) => source.replay as Replay<RowChange>

  return {
    log,
    tables,
    rowAccess,
    async follow(table, viewer, more, continuesAfter) {
      const source = sourceOf(table, viewer, more)
      const changes: RowChange[] = []
      let ended: ListenqlError | undefined
      const stop = await source.open({
        event: change => changes.push(change),
        end(error) {
          ended = error
        },
        continuesAfter,
      })
      return {
        changes,
        get ended() {
          return ended
        },
        source,
        replay: replayOf(source),
        async level() {
          const at = await end()
          await waitUntil(
            () => ended || comparePositions(replayOf(source).position(), at) >= 0,
            'all to be dispatched',
          )
        },
        stop,
      }
    },
    async replay(table, viewer, after, more) {
      const source = sourceOf(table, viewer, more)
      const stop = await source.open({ event: () => undefined, end: () => undefined })
      const changes: RowChange[] = []
      for (let at = after; ; ) {
        const page = await replayOf(source).read(at)
        changes.push(...page.events)
        at = page.position
        if (comparePositions(at, replayOf(source).position()) >= 0) break
      }
      stop()
      return changes
    },
    end,
    async close() {
      await tables.close()
      await log.close()
      await rowAccess.close()
    },
  }
}
