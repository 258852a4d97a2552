import type { ChannelRules } from '../src/auth/channel-rules.js'
import type { Viewer } from '../src/auth/viewer.js'
import type { WatchedTable } from '../src/catalog/watched-table.js'
import type { Plan } from '../src/plan/plan.js'
import type { Snapshot } from '../src/snapshots/snapshot-request.js'
import type { ChannelEvent } from '../src/sources/channels/channel-event.js'
import type { EventSource } from '../src/sources/source.js'
import type { ChangesRequest } from '../src/sources/tables/changes-request.js'
import type { RowChange } from '../src/sources/tables/row-change.js'

/** What the schema's resolvers work with; the server that executes the schema supplies it. */
export interface SchemaContext {
  /** The viewer of the request. */
  readonly viewer: Viewer
  /** The viewer's rules. */
  readonly rules: ChannelRules
  /**
   * @param after the cursor of the last event seen
   * @throws ListenqlError CHANNEL_NAME_INVALID, CURSOR_INVALID
   */
  channelSource(name: string, after?: string): EventSource<ChannelEvent>
  /** @throws ListenqlError FORBIDDEN, CURSOR_INVALID, and CURSOR_EXPIRED if that is already known */
  tableChanges(
    table: WatchedTable,
    request: ChangesRequest,
  ): EventSource<RowChange> | Promise<EventSource<RowChange>>
  /** Reads rows and what is linked to them as they are at one position of the event log. Rejects with ListenqlError FORBIDDEN, DATABASE_FAILED. */
  read(plan: Plan): Promise<Snapshot>
  /**
   * Reads the plan, and again whenever its result changes.
   * @param every the shortest time from one read to the next, in ms
   */
  live(plan: Plan, every: number): EventSource<Snapshot> | Promise<EventSource<Snapshot>>
  /** The names of the columns that the viewer may read; undefined: all; empty: none. Default: all. */
  readable?(table: WatchedTable): Promise<readonly string[] | undefined>
  /** Sends a NOTIFY. Rejects with ListenqlError PAYLOAD_TOO_LARGE or DATABASE_FAILED. */
  notify(channel: string, payload: string): Promise<void>
  /**
   * True: the server that executes the schema opens the source itself, to share it. Otherwise a subscription field resolves once its
   * source is open, as any GraphQL server expects.
   */
  readonly opensSources?: boolean
  /**
   * True: results are written with `stringifyJson`, so that JSON values keep their stored text. Otherwise a JSON value is the result of
   * JSON.parse, or the error VALUE_NOT_SHOWN if that would change a number.
   */
  readonly keepsJsonText?: boolean
}
