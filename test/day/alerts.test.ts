import { expect, it } from 'vitest'
import { alertsByPart } from './alerts.js'
import type { Prometheus, Series } from './prometheus.js'

/** A Prometheus that has these samples of alerts. */
const prometheusWith = (...alerts: (readonly [name: string, instance: string, ...seconds: number[]])[]) =>
  ({
    now: async () =>
      alerts.map(
        ([alertname, instance, ...seconds]): Series => ({
          metric: { alertname, instance },
          values: seconds.map(second => [second, '1']),
        }),
      ),
  }) as Partial<Prometheus> as Prometheus

it('an alert belongs to the part in which it begins to fire for the first server, each time', async () => {
  const prometheus = prometheusWith(
    ['Down', 'a', 101, 102, 103, 140, 141],
    ['Down', 'b', 104, 105],
    ['Full', 'a', 119, 120, 121],
  )
  const parts = [
    { title: 'one', at: 103 },
    { title: 'two', at: 119.5 },
    { title: 'three', at: 150 },
  ]
  expect(await alertsByPart(prometheus, 100, parts)).toEqual([
    { title: 'one', alerts: ['Down'] },
    { title: 'two', alerts: ['Full'] },
    { title: 'three', alerts: ['Down'] },
  ])
})
