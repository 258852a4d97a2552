import fc from 'fast-check'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { createTransactionBatches } from '../../../src/client/rows/transaction-batches.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

interface Change {
  readonly id: number
  readonly transaction: string | undefined
}

function create(maxChanges = 1000) {
  const batches: { readonly ids: readonly number[]; readonly transaction: string | undefined }[] = []
  const collector = createTransactionBatches<Change>({
    transactionOf: change => change.transaction,
    maxChanges,
    silence: 10,
    deliver: (changes, transaction) => batches.push({ ids: changes.map(({ id }) => id), transaction }),
  })
  return { batches, ...collector }
}

const step = fc.record({
  transaction: fc.constantFrom('1', '2', '3'),
  pause: fc.constantFrom(0, 0, 0, 3, 9, 25),
})

it('each transaction is one batch if the stream does not pause within it, and every change arrives once and in order', () => {
  fc.assert(
    fc.property(fc.array(step), fc.integer({ min: 1, max: 6 }), (steps, maxChanges) => {
      const { batches, take } = create(maxChanges)
      const expected: { ids: number[]; transaction: string }[] = []
      let splits = true
      for (const [id, { transaction, pause }] of steps.entries()) {
        take({ id, transaction })
        const last = expected.at(-1)
        if (splits || !last || last.transaction !== transaction) expected.push({ ids: [id], transaction })
        else last.ids.push(id)
        splits = pause === 25 || expected.at(-1)?.ids.length === maxChanges
        vi.advanceTimersByTime(pause)
      }
      vi.advanceTimersByTime(25)
      expect(batches).toEqual(expected)
    }),
  )
})

it('a long transaction that keeps arriving stays one batch', () => {
  const { batches, take } = create()
  for (let id = 0; id < 50; id++) {
    take({ id, transaction: '1' })
    vi.advanceTimersByTime(4)
  }
  expect(batches).toEqual([])
  vi.advanceTimersByTime(20)
  expect(batches.map(({ ids }) => ids.length)).toEqual([50])
})

it('without transactions, the changes of 10 ms are one batch, also while more keep arriving', () => {
  const { batches, take } = create()
  for (let id = 0; id < 12; id++) {
    take({ id, transaction: undefined })
    vi.advanceTimersByTime(4)
  }
  expect(batches.map(({ ids }) => ids)).toEqual([
    [0, 1, 2],
    [3, 4, 5],
    [6, 7, 8],
    [9, 10, 11],
  ])
})

it('what arrived while the program was busy belongs to the transaction, although the timer is over', () => {
  const { batches, take } = create()
  take({ id: 1, transaction: '1' })
  setTimeout(() => take({ id: 2, transaction: '1' }), 10) // runs right after the timer of the first
  vi.advanceTimersByTime(10)
  expect(batches).toEqual([])
  vi.advanceTimersByTime(25)
  expect(batches.map(({ ids }) => ids)).toEqual([[1, 2]])
})

it('discarded changes are not delivered', () => {
  const { batches, take, discard } = create()
  take({ id: 1, transaction: '1' })
  discard()
  vi.advanceTimersByTime(25)
  expect(batches).toEqual([])
  expect(vi.getTimerCount()).toBe(0)
})
