import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  comparePositions,
  decodePlain,
  END_OF_BATCH,
  encodePlain,
  endOfBatch,
} from '../../src/log/position.js'

const natural = fc.oneof(fc.nat(), fc.maxSafeNat())
const position = fc.oneof(
  fc.record({
    n: natural,
    token: natural,
    ord: fc.integer({ min: 1, max: END_OF_BATCH - 1 }),
    statement: fc.nat(),
    id: natural,
  }),
  fc.record({ n: natural, token: natural }).map(endOfBatch),
)

describe('a cursor', () => {
  it('decodes to the position that it was made from', () => {
    fc.assert(
      fc.property(position, value => {
        const cursor = encodePlain(value)
        expect(cursor).toMatch(/^[\w-]{1,64}$/)
        expect(decodePlain(cursor)).toEqual(value)
      }),
    )
  })

  it('is refused if it is invented, and never causes a crash', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.base64String(), fc.stringMatching(/^[\w-]{0,80}$/)), text => {
        let decoded: ReturnType<typeof decodePlain>
        try {
          decoded = decodePlain(text)
        } catch (error) {
          expect(error).toMatchObject({ code: 'CURSOR_INVALID' })
          return
        }
        expect(encodePlain(decoded)).toBe(text) // it happened to be a valid one
      }),
    )
  })

  it('is refused if a character is cut off or added', () => {
    fc.assert(
      fc.property(position, value => {
        const cursor = encodePlain(value)
        for (const changed of [cursor.slice(0, -1), `${cursor}A`, `${cursor}=`, ` ${cursor}`]) {
          let decoded: unknown
          try {
            decoded = decodePlain(changed)
          } catch {
            continue
          }
          expect(decoded).not.toEqual(value)
        }
      }),
    )
  })
})

it('positions have the order of the log', () => {
  const base = { n: 1, token: 5, ord: 1, statement: 1, id: 1 }
  const later = [
    { ...base, id: 2 },
    { ...base, statement: 2, id: 0 },
    { ...base, ord: 2, statement: 0, id: 0 },
    endOfBatch(base),
    { ...base, n: 2, ord: 1, statement: 0, id: 0 },
  ]
  for (const [i, position] of later.entries()) {
    expect(comparePositions(later[i - 1] ?? base, position)).toBeLessThan(0)
    expect(comparePositions(position, position)).toBe(0)
  }
})
