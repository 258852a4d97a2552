import type { ClientMemory } from '../lib/limits/client-memory.js'
import type { Observe } from '../lib/observation.js'
import type { Backpressure } from './backpressure.js'
import type { Scheduler } from './scheduler.js'
import type { SendDelays } from './send-delays.js'

/** What all groups of a server share. */
export interface GroupOptions {
  /** Read at each event, since a reload may change them. */
  readonly limits: {
    /** Largest event that is delivered, in bytes as rendered. */
    readonly maxEvent: number
  }
  readonly scheduler: Scheduler
  readonly backpressure: Backpressure
  readonly memory: ClientMemory
  /** Measures how long events take to their subscribers. Default: it is not measured. */
  readonly delays?: SendDelays | undefined
  readonly observe: Observe
}
