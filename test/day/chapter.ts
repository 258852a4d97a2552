import type { Day } from './day.js'
import type { Staff } from './staff.js'

/** A part of the day. It waits for what it causes, and fails if that does not happen. */
export interface Chapter {
  readonly title: string
  /** The alerts that begin to fire in this chapter: each of them must, and no other may. */
  readonly alerts?: readonly string[]
  /** @returns what was seen, in a few words */
  run(day: Day, staff: Staff): Promise<string>
}
