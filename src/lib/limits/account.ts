import type { LimitExceeded } from './limit-exceeded.js'

/** A budget of steps for work that is done for a client. */
export interface Account {
  /** The error while the budget is used up; undefined: there is budget left. */
  refusal(): LimitExceeded | undefined
  pay(steps: number): void
}
