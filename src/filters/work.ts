import { LimitExceeded } from '../lib/limits/limit-exceeded.js'

/**
 * What looking at a row takes, in steps that are the same on every machine: a condition is one, and so is each piece of text
 * that it goes through (see like.ts). A step takes a few nanoseconds.
 */
export class Work {
  /** Steps taken so far, or since `begin`. */
  steps = 0
  /** Most steps. */
  readonly limit: number

  constructor(limit: number = Number.POSITIVE_INFINITY) {
    this.limit = limit
  }

  /** It is used again, for something else. */
  begin(): void {
    this.steps = 0
  }

  /** @throws LimitExceeded if they are too many */
  take(steps: number): void {
    this.steps += steps
    if (this.steps <= this.limit) return
    throw new LimitExceeded(
      'maxFilterWork',
      this.limit,
      'The filter takes too much work for one event: too many conditions look through too long a text.',
      'ask for less text, or with fewer conditions of like and ilike; --max-filter-work on the server sets the limit',
    )
  }
}
