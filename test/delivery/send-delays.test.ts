import { expect, it } from 'vitest'
import { SendDelays } from '../../src/delivery/send-delays.js'

/** Delays whose turns the test ends. */
function setUp(now: () => number | undefined) {
  const due = new Set<() => void>()
  const delays = new SendDelays({
    scheduler: { afterwards: task => void due.add(task) },
    now,
    bounds: [0.1, 1],
  })
  const endTurn = () => {
    for (const task of [...due]) {
      due.delete(task)
      task()
    }
  }
  return { delays, endTurn }
}

it('counts each event once for each group, when nothing is left to write', () => {
  let now = 1000
  const { delays, endTurn } = setUp(() => now)
  delays.rendered('table', new Date(1000))
  delays.rendered('table', new Date(1000))
  delays.rendered('channel', new Date(900))
  expect(delays.byKind.table.count).toBe(0)
  now = 1500
  endTurn()
  expect(delays.byKind.table).toMatchObject({ counts: [0, 2, 0], sum: 1, count: 2 })
  expect(delays.byKind.channel).toMatchObject({ counts: [0, 1, 0], sum: 0.6 })
  delays.rendered('table', new Date(1450))
  endTurn()
  expect(delays.byKind.table).toMatchObject({ counts: [1, 2, 0], count: 3 })
})

it('an event from the future, by a clock that is off, takes no time', () => {
  const { delays, endTurn } = setUp(() => 1000)
  delays.rendered('table', new Date(2000))
  endTurn()
  expect(delays.byKind.table).toMatchObject({ sum: 0, count: 1 })
})

it('counts nothing without a time, or while the clock of the database is not known', () => {
  const { delays, endTurn } = setUp(() => undefined)
  delays.rendered('table', new Date(2000))
  delays.rendered('channel', undefined)
  endTurn()
  expect(delays.byKind.table.count + delays.byKind.channel.count).toBe(0)
})
