import { describe, expect, it } from 'vitest'
import { createFrame } from '../../src/delivery/stream.js'
import { TransactionEnds } from '../../src/delivery/transaction-ends.js'
import { endOfBatch, type Position } from '../../src/log/position.js'

const frames = { announcement: createFrame('announced'), end: createFrame('end') }
const at = (n: number, ord: number, id = 1): Position => ({ n, token: 1, ord, statement: 1, id })

/** @param isAnnounced whether the announcement has been taken */
function createEnds(after?: Position, isAnnounced = true) {
  let reached: Position | undefined
  const ends = new TransactionEnds({ frames, after, reached: () => reached })
  if (isAnnounced) ends.take(false)
  return {
    ends,
    took: (position: Position | undefined) => ends.took(createFrame('change', undefined, position)),
    /** @returns the text of the next frame, once everything up to a position has been taken */
    next(position: Position | undefined, hasNext = false) {
      reached = position
      return ends.take(hasNext)?.text
    },
  }
}

describe('the ends of transactions', () => {
  it('are announced before all frames, and there is none before the first change', () => {
    const { ends, next } = createEnds(undefined, false)
    expect(ends.isDue).toBe(true)
    expect([next(undefined, true), ends.isDue, next(at(9, 9))]).toEqual(['announced', false, undefined])
  })

  it('are marked once everything of the transaction has been taken', () => {
    const { ends, took, next } = createEnds()
    took(at(5, 2, 1))
    for (const position of [undefined, at(5, 2, 1), at(5, 2, 9)]) expect(next(position)).toBe(undefined)
    expect(next(at(5, 3), true)).toBe(undefined) // frames wait, which may be of that transaction
    expect([ends.isDue, next(at(5, 3)), ends.isDue]).toEqual([true, 'end', false])
    took(at(6, 1))
    expect(next(endOfBatch({ n: 6, token: 1 }))).toBe('end')
    took(at(7, 1))
    expect(next(at(8, 1))).toBe('end')
  })

  it('include that of the transaction within which the client resumes', () => {
    const { ends, next } = createEnds(at(5, 2))
    expect([next(at(5, 2)), ends.isDue, next(at(5, 3)), ends.isDue]).toEqual([undefined, true, 'end', false])
  })

  it('come at once after a frame at the end of a batch, and a frame without a position changes nothing', () => {
    const { took, next } = createEnds()
    took(endOfBatch({ n: 6, token: 1 })) // READY
    expect(next(endOfBatch({ n: 6, token: 1 }))).toBe('end')
    took(at(7, 1))
    took(undefined)
    expect([next(at(7, 1)), next(at(7, 2))]).toEqual([undefined, 'end'])
  })
})
