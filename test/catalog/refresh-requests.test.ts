import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createRefreshRequests, newestGenerations } from '../../src/catalog/refresh-requests.js'
import type { WatchedTable } from '../../src/catalog/watched-table.js'

/** Watched tables, of which only the generations matter. */
const tables = (generations: Readonly<Record<string, number>>) =>
  Object.entries(generations).map(([relid, generation]) => ({ relid, generation }) as WatchedTable)

/** Requests, and the names of those that were answered. */
function createTested() {
  const requests = createRefreshRequests()
  const answered: string[] = []
  return {
    requests,
    add(name: string, relid?: string, generation = 0) {
      void requests
        .add(relid === undefined ? undefined : { relid, generation })
        .then(() => answered.push(name))
    },
    async answered() {
      await Promise.resolve()
      return answered.splice(0)
    },
  }
}

it('a check answers the requests that were there when it began, and the next check is due at once for the others', async () => {
  const { requests, add, answered } = createTested()
  add('early')
  const taken = requests.waiting()
  add('late')
  expect(requests.checked(taken, [], true)).toBe('now')
  expect(await answered()).toEqual(['early'])
  expect(requests.checked(requests.waiting(), [], true)).toBe('later')
  expect(await answered()).toEqual(['late'])
})

it('a request for a generation is answered once that is known, or its table is not watched', async () => {
  const { requests, add, answered } = createTested()
  add('third', '1', 3)
  add('second', '1', 2)
  add('other', '2', 9)
  expect(requests.checked(requests.waiting(), tables({ 1: 2 }), true)).toBe('soon')
  expect(await answered()).toEqual(['second', 'other'])
  expect(requests.checked(requests.waiting(), tables({ 1: 3 }), true)).toBe('later')
  expect(await answered()).toEqual(['third'])
})

it('a request for a generation that does not come is answered by the tenth check, or the first if the login may not refresh', async () => {
  const { requests, add, answered } = createTested()
  add('never', '1', 3)
  for (let i = 1; i < 10; i++)
    expect(requests.checked(requests.waiting(), tables({ 1: 2 }), true)).toBe('soon')
  expect(await answered()).toEqual([])
  expect(requests.checked(requests.waiting(), tables({ 1: 2 }), true)).toBe('later')
  expect(await answered()).toEqual(['never'])
  add('again', '1', 3)
  expect(requests.checked(requests.waiting(), tables({ 1: 2 }), false)).toBe('later')
  expect(await answered()).toEqual(['again'])
})

it('a check that fails answers no request, and closing answers all', async () => {
  const { requests, add, answered } = createTested()
  add('any')
  add('table', '1', 3)
  requests.waiting()
  expect(await answered()).toEqual([])
  requests.close()
  expect(await answered()).toEqual(['any', 'table'])
})

it('each table is refreshed for the newest of the generations that are waited for', () => {
  const seen = fc.record({ relid: fc.constantFrom('1', '2', '3'), generation: fc.nat(5) })
  fc.assert(
    fc.property(fc.array(fc.option(seen, { nil: undefined })), all => {
      const found = newestGenerations(all.map(one => ({ seen: one, resolve: () => undefined, tries: 0 })))
      const known = all.flatMap(one => one ?? [])
      expect(found.map(({ relid }) => relid)).toEqual([...new Set(known.map(({ relid }) => relid))])
      for (const { relid, generation } of found) {
        const own = known.filter(one => one.relid === relid).map(one => one.generation)
        expect(generation).toBe(Math.max(...own))
      }
    }),
  )
})
