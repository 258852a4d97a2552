import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createTurnstile } from '../../../src/lib/limits/turnstile.js'

it('lets at most so many tasks begin in a turn, all of them in order, and none wait without need', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.array(fc.nat(10), { maxLength: 8 }),
      async (most, arrivals) => {
        const turnstile = createTurnstile(most)
        const begun: { task: number; turn: number }[] = []
        let turn = 0
        let tasks = 0
        const expected: { task: number; turn: number }[] = []
        let free = 0
        const arrive = () => {
          const task = tasks++
          const waits = turnstile.enter('client')
          if (waits) void waits.then(() => begun.push({ task, turn }))
          else begun.push({ task, turn })
          free = Math.max(free, turn * most)
          expected.push({ task, turn: Math.floor(free++ / most) })
        }
        for (let i = 0; i < arrivals.length || begun.length < tasks; i++) {
          for (let n = arrivals[i] ?? 0; n > 0; n--) arrive()
          await new Promise(resolve => setImmediate(resolve))
          turn++
        }
        expect(begun.map(({ task }) => task)).toEqual(expected.map(({ task }) => task))
        const perTurn = new Map<number, number>()
        for (const { turn: at } of begun) perTurn.set(at, (perTurn.get(at) ?? 0) + 1)
        // A task that waited begins between two turns of the test, and counts to either.
        for (const n of perTurn.values()) expect(n).toBeLessThanOrEqual(2 * most)
        for (const [i, { turn: at }] of begun.entries()) {
          const { turn: wanted } = expected[i] as { turn: number }
          expect(at).toBeGreaterThanOrEqual(wanted - 1)
          expect(at).toBeLessThanOrEqual(wanted + 1)
        }
      },
    ),
  )
})

it('owners take turns, however many tasks one of them has', async () => {
  const turnstile = createTurnstile(1)
  const begun: string[] = []
  const enter = (owner: string, task: string) =>
    Promise.resolve(turnstile.enter(owner)).then(() => void begun.push(task))
  await Promise.all([
    ...['a1', 'a2', 'a3', 'a4'].map(task => enter('a', task)),
    ...['b1', 'b2'].map(task => enter('b', task)),
  ])
  expect(begun).toEqual(['a1', 'a2', 'b1', 'a3', 'b2', 'a4'])
})

it('a task whose signal aborts waits no longer, and takes the place of no other', async () => {
  const turnstile = createTurnstile(1)
  const gone = Array.from({ length: 100 }, () => new AbortController())
  const begun: string[] = []
  expect(turnstile.enter('a')).toBeUndefined()
  const waits = [
    ...gone.map(({ signal }) => turnstile.enter('a', signal)?.then(() => begun.push('gone'))),
    turnstile.enter('a')?.then(() => begun.push('next')),
  ]
  for (const each of gone) each.abort()
  await Promise.resolve()
  expect(begun).toEqual(Array(100).fill('gone'))
  await new Promise(resolve => setImmediate(resolve))
  await Promise.all(waits)
  expect(begun.at(-1)).toBe('next')
  expect(begun.length).toBe(101)
})
