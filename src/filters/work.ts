import { LimitExceeded } from '../lib/limits/limit-exceeded.js'

/**
 * Counts the work of evaluating filters, in steps that are the same on every machine: a condition is one, and so is each piece of
 * text that it scans (see like.ts). A step takes a few nanoseconds.
 */
export class Work {
  /** Steps taken so far, or since `begin`. */
  steps = 0
  /** Most steps. */
  readonly limit: number

  constructor(limit: number = Number.POSITIVE_INFINITY) {
    this.limit = limit
  }

  /** Starts counting anew. */
  begin(): void {
    this.steps = 0
  }

  /** @throws LimitExceeded if the steps exceed the limit */
  take(steps: number): void {
    this.steps += steps
    if (this.steps <= this.limit) return
    throw new LimitExceeded(
      'maxFilterWork',
      this.limit,
      'The filter takes too much work for one event: too many conditions search too long a text.',
      'select less text, or use fewer conditions with like and ilike; --max-filter-work on the server sets the limit',
    )
  }
}
