import { expect, it } from 'vitest'
import type { Observation } from '../../../src/lib/observation.js'
import { createUnfollowedReport } from '../../../src/rls/reads/unfollowed-report.js'

it('looks once at a time, and once more for all calls meanwhile; a failed look reports nothing', async () => {
  const looks: (() => void)[] = []
  const observed: Observation[] = []
  const report = createUnfollowedReport({
    query: () => new Promise((_, reject) => looks.push(() => reject(new Error('no connection')))),
    observe: observation => void observed.push(observation),
  })
  const first = report.run()
  const others = [report.run(), report.run()]
  expect(looks.length).toBe(1)
  looks[0]?.()
  await first
  expect(looks.length).toBe(2)
  const late = report.run()
  looks[1]?.()
  await Promise.all(others)
  expect(looks.length).toBe(3)
  looks[2]?.()
  await late
  expect(observed).toEqual([])
  const last = report.run()
  expect(looks.length).toBe(4)
  looks[3]?.()
  await last
})
