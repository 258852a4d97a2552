import type { LimitExceeded } from './limit-exceeded.js'

/** Pays for work that is done for a client, in steps. */
export interface Account {
  /** Why nothing may be done for it now; undefined: it may. */
  refusal(): LimitExceeded | undefined
  pay(steps: number): void
}
