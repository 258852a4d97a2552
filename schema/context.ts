import type { ChannelRules } from '../src/auth/channel-rules.js'
import type { Viewer } from '../src/auth/viewer.js'
import type { WatchedTable } from '../src/catalog/watched-table.js'
import type { Snapshot, SnapshotRequest } from '../src/snapshots/snapshot-request.js'
import type { ChannelEvent } from '../src/sources/channels/channel-event.js'
import type { EventSource } from '../src/sources/source.js'
import type { ChangesRequest } from '../src/sources/tables/changes-request.js'
import type { RowChange } from '../src/sources/tables/row-change.js'

/** Which rows a query wants. */
export interface RowsRequest extends SnapshotRequest {
  /** Those that it selects. */
  readonly columns: readonly string[]
  /** Those that it selects, filters or sorts by. */
  readonly used: readonly string[]
}

/** What the schema's resolvers work with; whoever executes the schema supplies it. */
export interface SchemaContext {
  /** Who asks. */
  readonly viewer: Viewer
  /** The viewer's. */
  readonly rules: ChannelRules
  /**
   * @param after the cursor of the last event seen
   * @throws ListenqlError CHANNEL_NAME_INVALID, CURSOR_INVALID
   */
  channelSource(name: string, after?: string): EventSource<ChannelEvent>
  /** @throws ListenqlError FORBIDDEN, CURSOR_INVALID, and CURSOR_EXPIRED if that is known at once */
  tableChanges(
    table: WatchedTable,
    request: ChangesRequest,
  ): EventSource<RowChange> | Promise<EventSource<RowChange>>
  /** Reads rows as they are at one position of the event log. Rejects with ListenqlError FORBIDDEN, DATABASE_FAILED. */
  snapshot(table: WatchedTable, request: RowsRequest): Promise<Snapshot>
  /** The names of the columns that the viewer may read; undefined: all. None: nothing of the table. Default: all. */
  readable?(table: WatchedTable): Promise<readonly string[] | undefined>
  /** Sends a NOTIFY. Rejects with ListenqlError PAYLOAD_TOO_LARGE or DATABASE_FAILED. */
  notify(channel: string, payload: string): Promise<void>
  /**
   * True: whoever executes opens the source itself, to share it. Otherwise a subscription field resolves once its source is
   * open, as any GraphQL server expects.
   */
  readonly opensSources?: boolean
  /**
   * True: results are written with `stringifyJson`, so that JSON values keep the text that is stored. Otherwise a JSON value
   * is what JSON.parse gives, or the error VALUE_NOT_SHOWN where that would change a number.
   */
  readonly keepsJsonText?: boolean
}
