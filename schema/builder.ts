import SchemaBuilder from '@pothos/core'
import type { ChannelEvent } from '../src/events/channel-event.js'
import type { SchemaContext } from './context.js'

export interface SchemaTypes {
  Context: SchemaContext
  Objects: { ChannelEvent: ChannelEvent }
  Scalars: {
    DateTime: { Input: Date; Output: Date }
    JSON: { Input: unknown; Output: unknown }
  }
  DefaultFieldNullability: false
}

export type Builder = ReturnType<typeof createBuilder>

/** A new builder for each schema: the schema is built again whenever the database's tables change. */
export function createBuilder() {
  return new SchemaBuilder<SchemaTypes>({ defaultFieldNullability: false })
}
