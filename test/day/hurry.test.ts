import { expect, it } from 'vitest'
import { hurry, SPEED } from './hurry.js'

it('divides the durations of rules and of ranges, and nothing else', () => {
  const [minute, hour] = [60 / SPEED, 3600 / SPEED]
  expect(hurry('        for: 5m\n        labels: { for: 5 }')).toBe(
    `        for: ${5 * minute}s\n        labels: { for: 5 }`,
  )
  expect(hurry('increase(a{b="[10m"}[10m]) > 20 and rate(c[1h]) > 0.2')).toBe(
    `increase(a{b="[10m"}[${10 * minute}s]) > 20 and rate(c[${hour}s]) > 0.2`,
  )
  expect(hurry("summary: 'it has not worked for 2 minutes'")).toBe(
    "summary: 'it has not worked for 2 minutes'",
  )
})
