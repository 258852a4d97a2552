import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Fifo } from '../../src/lib/fifo.js'

const operation = fc.oneof(
  fc.record({ type: fc.constant('push' as const), count: fc.integer({ min: 1, max: 3000 }) }),
  fc.record({ type: fc.constant('shift' as const), count: fc.integer({ min: 1, max: 3000 }) }),
  fc.constant({ type: 'clear' as const, count: 1 }),
)

it('a queue behaves like an array for any order of push, shift and clear', () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 12 }), operations => {
      const fifo = new Fifo<number>()
      let model: number[] = []
      let last = 0
      for (const { type, count } of operations) {
        if (type === 'clear') {
          fifo.clear()
          model = []
        }
        for (let i = 0; i < count; i++) {
          if (type === 'push') {
            fifo.push(++last)
            model.push(last)
          } else if (type === 'shift') {
            expect(fifo.peek()).toBe(model[0])
            expect(fifo.shift()).toBe(model.shift())
          }
        }
        expect(fifo.size).toBe(model.length)
        expect(fifo.peek()).toBe(model[0])
      }
    }),
    {
      numRuns: 60,
      examples: [
        [
          [
            { type: 'push', count: 3000 },
            { type: 'shift', count: 2999 },
          ],
        ],
      ],
    },
  )
})

it('a queue distinguishes the value undefined from an empty queue', () => {
  const fifo = new Fifo<undefined>()
  fifo.push(undefined)
  expect(fifo.size).toBe(1)
  expect(fifo.shift()).toBe(undefined)
  expect(fifo.size).toBe(0)
  expect(fifo.shift()).toBe(undefined)
  expect(fifo.size).toBe(0)
})
