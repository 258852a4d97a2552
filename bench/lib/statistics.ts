/** The middle number, or the mean of the two in the middle. */
export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  const half = sorted.length >> 1
  const upper = sorted[half] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? Number.NaN) + upper) / 2
}

/** `45 %`, or `45 % (41-48)` with the smallest and the largest. */
export function percent(ratios: readonly number[]): string {
  const of = (ratio: number) => (ratio * 100).toFixed(ratio < 0.1 ? 1 : 0)
  const range = ratios.length > 1 ? ` (${of(Math.min(...ratios))}-${of(Math.max(...ratios))})` : ''
  return `${of(median(ratios))} %${range}`
}

/** The number below which a share `q` (0 to 1) of the numbers lies. */
export function quantile(numbers: readonly number[], q: number): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
}
