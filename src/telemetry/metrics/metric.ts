/** One metric of the server: what the endpoint `/metrics` and OTLP show under its name, and what docs/operations.md says of it. */
export interface Metric {
  readonly type: 'counter' | 'gauge' | 'histogram'
  /** One sentence without a full stop. */
  readonly help: string
  /** For each label which values it may have: a short list, never anything that a client or viewer chooses. */
  readonly labels: Readonly<Record<string, string>>
  /** The upper bounds of a histogram, in its unit. */
  readonly bounds?: readonly number[]
}

type Labels = Metric['labels']

/** @param help as in `Metric`; @param labels default: none */
export function counter<const L extends Labels>(help: string, labels?: L): Metric {
  return { type: 'counter', help, labels: labels ?? {} }
}

export function gauge<const L extends Labels>(help: string, labels?: L): Metric {
  return { type: 'gauge', help, labels: labels ?? {} }
}

/** @param bounds the upper bounds of the ranges, ascending */
export function histogram<const L extends Labels>(
  help: string,
  bounds: readonly number[],
  labels?: L,
): Metric {
  return { type: 'histogram', help, labels: labels ?? {}, bounds }
}

/** Bounds in seconds for what takes milliseconds to seconds. */
export const SHORT_BOUNDS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** The same for what may take minutes. */
export const LONG_BOUNDS_S = [0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300]
