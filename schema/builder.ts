import SchemaBuilder from '@pothos/core'
import type { ChannelEvent } from '../src/sources/channels/channel-event.js'
import type { SchemaContext } from './context.js'

export interface SchemaTypes {
  Context: SchemaContext
  Objects: { ChannelEvent: ChannelEvent }
  /** Input: as the client wrote it, in the form that filters accept. Output: as RowImage.get returns it. */
  Scalars: {
    BigInt: { Input: string; Output: string }
    Bytes: { Input: string; Output: string }
    Date: { Input: string; Output: string }
    DateTime: { Input: string; Output: string | Date }
    Decimal: { Input: string; Output: string }
    Duration: { Input: string; Output: string }
    JSON: { Input: unknown; Output: unknown }
    LocalDateTime: { Input: string; Output: string }
    LocalTime: { Input: string; Output: string }
    Time: { Input: string; Output: string }
    UUID: { Input: string; Output: string }
  }
  DefaultFieldNullability: false
}

export type Builder = ReturnType<typeof createBuilder>

/** A new builder for each schema: the schema is built again whenever the database's tables change. */
export function createBuilder() {
  return new SchemaBuilder<SchemaTypes>({ defaultFieldNullability: false })
}
