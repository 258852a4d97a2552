/**
 * How often values fell into each of a few ranges. To record a value costs a short loop over the bounds and no allocation, so that it
 * may be done where every frame passes.
 */
export class Histogram {
  /** The upper bounds of the ranges, ascending, each inclusive. Values above the last one count in a range of their own. */
  readonly bounds: readonly number[]
  /** How many values fell into each range, not cumulated; one more than there are bounds. */
  readonly counts: number[]
  sum = 0
  count = 0

  constructor(bounds: readonly number[]) {
    this.bounds = bounds
    this.counts = new Array<number>(bounds.length + 1).fill(0)
  }

  /** @param times how many values of this size there were. Default: 1 */
  record(value: number, times = 1): void {
    const { bounds, counts } = this
    let range = 0
    while (range < bounds.length && value > (bounds[range] as number)) range++
    counts[range] = (counts[range] as number) + times
    this.sum += value * times
    this.count += times
  }
}
