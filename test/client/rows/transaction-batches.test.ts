import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
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
    deliver: (changes, transaction) => batches.push({ ids: changes.map(({ id }) => id), transaction }),
  })
  return { batches, ...collector }
}

const ANNOUNCED = { extensions: { transactionEnd: false } }
const END = { extensions: { transactionEnd: true } }

it('where the server marks ends, each transaction is one batch however long it takes, and every change arrives once and in order', () => {
  const transaction = fc.array(fc.constantFrom(0, 9, 25, 5000), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(fc.array(transaction), fc.array(fc.boolean()), (transactions, isEnded) => {
      const { batches, take, takeMark } = create()
      expect(takeMark(ANNOUNCED)).toBe(true)
      let id = 0
      const expected = transactions.map((pauses, i) => {
        const ids = pauses.map(pause => {
          vi.advanceTimersByTime(pause)
          take({ id, transaction: String(i) })
          return id++
        })
        if (isEnded[i] ?? true) takeMark(END) // or the next transaction ends it
        return { ids, transaction: String(i) }
      })
      takeMark(END)
      expect(batches).toEqual(expected)
    }),
  )
})

it('a mark ends a transaction at once, and a result with data is no mark', () => {
  const { batches, take, takeMark } = create()
  takeMark(ANNOUNCED)
  take({ id: 1, transaction: '1' })
  expect(takeMark({ data: {}, extensions: { cursor: 'x' } })).toBe(false)
  expect(takeMark({ data: null })).toBe(false)
  vi.advanceTimersByTime(60_000)
  expect(batches).toEqual([])
  expect(takeMark(END)).toBe(true)
  expect(batches).toEqual([{ ids: [1], transaction: '1' }])
})

it('a large transaction is delivered in parts', () => {
  const { batches, take, takeMark } = create(2)
  takeMark(ANNOUNCED)
  for (let id = 0; id < 5; id++) take({ id, transaction: '1' })
  takeMark(END)
  expect(batches.map(({ ids }) => ids)).toEqual([[0, 1], [2, 3], [4]])
})

it('without marks, a batch has the changes of one transaction within 10 ms', () => {
  const { batches, take } = create()
  for (const [id, transaction] of ['1', '1', '2', undefined, undefined].entries()) take({ id, transaction })
  vi.advanceTimersByTime(10)
  take({ id: 5, transaction: undefined })
  vi.advanceTimersByTime(10)
  expect(batches.map(({ ids }) => ids)).toEqual([[0, 1], [2], [3, 4], [5]])
})

describe('after a lost connection', () => {
  it('a server that does not mark ends delays nothing, and what was left of a transaction comes with the next change', () => {
    const { batches, take, takeMark, interrupted } = create()
    takeMark(ANNOUNCED)
    take({ id: 1, transaction: '1' })
    interrupted()
    vi.advanceTimersByTime(60_000)
    expect(batches).toEqual([])
    take({ id: 2, transaction: '2' })
    vi.advanceTimersByTime(10)
    expect(batches.map(({ ids }) => ids)).toEqual([[1], [2]])
  })

  it('a server that marks ends completes the transaction', () => {
    const { batches, take, takeMark, interrupted } = create()
    takeMark(ANNOUNCED)
    take({ id: 1, transaction: '1' })
    interrupted()
    takeMark(ANNOUNCED)
    vi.advanceTimersByTime(60_000)
    take({ id: 2, transaction: '1' })
    expect(batches).toEqual([])
    takeMark(END)
    expect(batches.map(({ ids }) => ids)).toEqual([[1, 2]])
  })
})

it('what is discarded is never delivered', () => {
  const { batches, take, discard } = create()
  take({ id: 1, transaction: '1' })
  discard()
  vi.advanceTimersByTime(60_000)
  expect(batches).toEqual([])
})
