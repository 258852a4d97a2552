import type { ChannelRules } from '../src/auth/channel-rules.js'
import type { ChannelEvent } from '../src/events/channel-event.js'
import type { EventSource } from '../src/events/source.js'

/** What the schema's resolvers work with; whoever executes the schema supplies it. */
export interface SchemaContext {
  readonly rules: ChannelRules
  /** @throws ListenqlError CHANNEL_NAME_INVALID */
  channelSource(name: string): EventSource<ChannelEvent>
  /** Sends a NOTIFY. Rejects with ListenqlError PAYLOAD_TOO_LARGE or DATABASE_FAILED. */
  notify(channel: string, payload: string): Promise<void>
  /**
   * True: whoever executes opens the source itself, to share it. Otherwise a subscription field resolves once its source is
   * open, as any GraphQL server expects.
   */
  readonly opensSources?: boolean
}
