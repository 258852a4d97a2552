import type { Prometheus } from './prometheus.js'

/** The alerts that began to fire in a part of the day, each once. */
export interface Fired {
  readonly title: string
  readonly alerts: readonly string[]
}

/** A part of the day, and when it ended, in seconds since 1970. */
export interface Ended {
  readonly title: string
  readonly at: number
}

/** Longest time between two evaluations, in s: after a longer one, an alert has begun to fire again. */
const GAP_S = 5

/** Finds out which alerts began to fire in each part of the day, also those that had fired before. @param from start of the first part */
export async function alertsByPart(
  prometheus: Prometheus,
  from: number,
  parts: readonly Ended[],
): Promise<Fired[]> {
  const day = Math.ceil(Date.now() / 1000 - from)
  // The samples themselves: a range query would show them at the next of its steps.
  const series = await prometheus.now(`ALERTS{alertstate="firing"}[${day}s]`)
  const byName = new Map<string, number[]>()
  for (const { metric, values } of series) {
    const name = metric.alertname as string
    byName.set(name, [...(byName.get(name) ?? []), ...values.map(([second]) => second)])
  }
  // An alert fires as long as it does for one server.
  const starts = [...byName].flatMap(([name, seconds]) =>
    seconds
      .toSorted((a, b) => a - b)
      .filter((second, k, all) => second - (all[k - 1] ?? 0) > GAP_S)
      .map(second => ({ name, second })),
  )
  return parts.map(({ title, at }, i) => {
    const after = parts[i - 1]?.at ?? 0
    const here = starts.filter(({ second }) => second > after && second <= at)
    return { title, alerts: [...new Set(here.map(({ name }) => name))].sort() }
  })
}
