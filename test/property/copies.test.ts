import fc from 'fast-check'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { comparePositions, isStartOver } from '../../src/log/position.js'
import { type Copy, createCopies, type Delivered, type SubscriptionOptions, selects } from './copies.js'

const EVERY_MS = 100

type Step =
  | { readonly do: 'write'; readonly changes: readonly { id: number; v: number | undefined }[] }
  | { readonly do: 'begin'; readonly asked: SubscriptionOptions; readonly batch: number | undefined }
  | { readonly do: 'take' | 'reconnect'; readonly copy: number; readonly count: number }
  | { readonly do: 'answer'; readonly which: 'log' | 'policies' | 'rows' }
  | { readonly do: 'dispatch' | 'dispatch all' | 'window' | 'turn' | 'renew' | 'fail' }

const asked: fc.Arbitrary<SubscriptionOptions> = fc.record({
  isInitial: fc.boolean(),
  every: fc.constantFrom(0, EVERY_MS, EVERY_MS),
  least: fc.constantFrom(0, 4),
  isSecured: fc.boolean(),
  isIterated: fc.boolean(),
})

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('write'),
      changes: fc.array(
        fc.record({
          id: fc.oneof(
            { weight: 30, arbitrary: fc.integer({ min: 1, max: 4 }) },
            { weight: 1, arbitrary: fc.constant(0) },
          ),
          v: fc.option(fc.nat(9), { nil: undefined, freq: 3 }),
        }),
        { minLength: 1, maxLength: 4 },
      ),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('begin'),
      asked,
      batch: fc.option(fc.nat(30), { nil: undefined, freq: 2 }),
    }),
  },
  {
    weight: 20,
    arbitrary: fc.record({ do: fc.constant('take'), copy: fc.nat(9), count: fc.integer({ min: 1, max: 3 }) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('reconnect'), copy: fc.nat(9), count: fc.constant(0) }),
  },
  {
    weight: 20,
    arbitrary: fc.record({ do: fc.constant('answer'), which: fc.constantFrom('log', 'policies', 'rows') }),
  },
  { weight: 12, arbitrary: fc.record({ do: fc.constantFrom('dispatch', 'dispatch', 'dispatch all') }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('window') }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('turn') }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('renew', 'fail') }) },
)

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
afterEach(() => void vi.useRealTimers())

it('every copy becomes equal to the rows, wherever clients reconnect and windows end', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
      fc.array(step, { minLength: 40, maxLength: 150 }),
      fc.oneof(fc.constant([]), fc.array(fc.nat(), { maxLength: 3 })),
      run,
    ),
    { numRuns: 300 },
  )
}, 120_000)

const turn = () => new Promise<void>(resolve => void setImmediate(resolve))

/** @param historyEnds before which steps, counted round */
async function run(
  pageSizes: readonly number[],
  steps: readonly Step[],
  historyEnds: readonly number[],
): Promise<void> {
  const world = createCopies(pageSizes)
  let copies: Copy[] = []
  const copyAt = (index: number) => copies[index % copies.length]

  async function take(step: Step): Promise<void> {
    switch (step.do) {
      case 'write':
        return world.write(step.changes)
      case 'begin':
        // Without rows and without a position a client has no copy that could become equal.
        copies.push(world.begin(step.asked, step.asked.isInitial ? step.batch : (step.batch ?? 0)))
        return
      case 'take':
        for (let i = 0; i < step.count; i++) {
          copyAt(step.copy)?.take()
          await null
        }
        return
      case 'reconnect': {
        const copy = copyAt(step.copy)
        if (copy && !copy.hasEnded)
          copies = copies.map(each => (each === copy ? world.reconnect(copy) : each))
        return
      }
      case 'answer':
        world.answerOne(step.which)
        return turn()
      case 'dispatch':
        return void world.dispatchNext()
      case 'dispatch all':
        while (world.dispatchNext());
        return
      case 'window':
        return void vi.advanceTimersByTime(EVERY_MS)
      case 'turn':
        return turn()
      case 'renew':
        return world.renew()
      case 'fail':
        return world.fail()
    }
  }

  async function settle(): Promise<void> {
    let before = ''
    for (let quiet = 0, round = 0; quiet < 12; round++) {
      if (round === 3000) throw new Error('a client does not join the live changes')
      const isBusy = [world.dispatchNext(), world.answer()].includes(true)
      for (const copy of copies) copy.take()
      vi.advanceTimersByTime(EVERY_MS)
      await turn()
      const counts = copies.map(({ taken }) => taken.length).join()
      quiet = isBusy || counts !== before ? 0 : quiet + 1
      before = counts
    }
  }

  const ends = historyEnds.map(end => end % steps.length)
  for (const [i, each] of steps.entries()) {
    if (ends.includes(i)) world.endHistory()
    await take(each)
  }
  await settle()
  for (const copy of copies) {
    assertOrder(copy.taken)
    if (copy.isRefused) continue
    if (copy.hasEnded)
      expect([ends.length > 0, copy.asked.isInitial], 'only a lost history ends a client').toEqual([
        true,
        false,
      ])
    else expectEqual(copy, world.rows)
  }
  expect(world.faults).toEqual([])
  for (const copy of copies) copy.stop()
  const closed = world.close()
  while (world.answer()) await turn()
  await closed
}

function expectEqual(copy: Copy, rows: ReadonlyMap<number, number>): void {
  const expected = [...rows].filter(([, v]) => selects(copy.asked, v))
  const sorted = (all: Iterable<[number, number]>) => [...all].sort(([a], [b]) => a - b)
  expect(sorted(copy.rows), JSON.stringify(copy)).toEqual(sorted(expected))
  if (copy.asked.isInitial) expect(copy.isReady, 'all rows have arrived').toBe(true)
}

/** Nothing arrives twice, also across reconnections, and positions never go back except to begin again. */
function assertOrder(taken: readonly Delivered[]): void {
  let last: Delivered | undefined
  for (const one of taken) {
    const isRow = one.operation === 'READ' || one.operation === 'RESET'
    expect(isStartOver(one.position)).toBe(isRow)
    if (last && !isRow && !isStartOver(last.position))
      expect(comparePositions(last.position, one.position), JSON.stringify(taken)).toBeLessThan(0)
    if (last && one.operation === 'READ') expect(['READ', 'RESET']).toContain(last.operation)
    last = one
  }
}
