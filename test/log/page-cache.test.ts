import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { LogEvent } from '../../src/log/log-event.js'
import type { Page } from '../../src/log/log-queries.js'
import { createPageCache } from '../../src/log/page-cache.js'
import { comparePositions, endOfBatch, type Position } from '../../src/log/position.js'

const token = (n: number) => 1000 + n
const at = (n: number, id: number): Position => ({ n, token: token(n), ord: 0, statement: 1, id })
/** Batches of events with increasing ids, like the log of a database. */
const history = fc
  .array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 12 })
  .map(sizes => sizes.flatMap((size, n) => Array.from({ length: size }, (_, id) => at(n, id))))

function read(log: readonly Position[], after: Position, size: number): Page {
  const events = log.filter(position => comparePositions(position, after) > 0).slice(0, size)
  return {
    events: events.map(position => ({ position }) as LogEvent),
    position: events.at(-1) ?? endOfBatch(after),
    isLast: events.length === 0,
  }
}

it('the cache returns what the log would return after any position, or nothing', () => {
  fc.assert(
    fc.property(
      history,
      fc.array(fc.tuple(fc.nat(12), fc.nat(5), fc.integer({ min: 1, max: 6 })), { maxLength: 12 }),
      fc.array(fc.tuple(fc.nat(12), fc.nat(5), fc.boolean()), { minLength: 1, maxLength: 20 }),
      (log, reads, asked) => {
        const cache = createPageCache()
        for (const [n, id, size] of reads) cache.keep(at(n, id), read(log, at(n, id), size), 1)
        for (const [n, id, isEnd] of asked) {
          const after = isEnd ? endOfBatch(at(n, id)) : at(n, id)
          const page = cache.find(after, 1)
          if (!page) continue
          expect(page.events.length).toBeGreaterThan(0)
          expect(page.events.map(({ position }) => position)).toEqual(
            read(log, after, page.events.length).events.map(({ position }) => position),
          )
          expect(page.position).toEqual(page.events.at(-1)?.position)
        }
        cache.clear()
      },
    ),
  )
})

it('the cache has no page for a position of another history', () => {
  const cache = createPageCache()
  const log = [at(1, 0), at(1, 1), at(2, 0)]
  cache.keep(at(0, 0), read(log, at(0, 0), 9), 1)
  expect(cache.find(at(1, 0), 1)?.events).toHaveLength(2)
  expect(cache.find({ ...at(1, 0), token: 7 }, 1)).toBe(undefined)
  expect(cache.find({ ...at(0, 0), token: 7 }, 1)).toBe(undefined)
  expect(cache.find(at(1, 0), 2)).toBe(undefined)
  expect(cache.find(at(1, 0), 1)).toBe(undefined) // and keeps no page of the former history
})
