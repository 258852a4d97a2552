import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createLiveChecker, type LiveChecker } from './live-checker.js'
import { importRules, MUTATIONS } from './mutations.js'

/*
 * Random live queries under random transactions: a result that the rules do not call stale must equal a fresh read, at every position of
 * the log. The checker must find a stale result if one rule is taken out; otherwise it would prove nothing.
 */

/** A mutation that is not found within these runs is not found at all, as far as this test can tell. */
const MUTATION_RUNS = 60
const SEED = 11

let checker: LiveChecker
beforeAll(async () => {
  checker = await createLiveChecker()
})
afterAll(() => checker?.close())

it('the result of a live query holds until a change touches it', async () => {
  const { stale, compared, reads, needless } = await checker.check(await importRules(), { runs: 20 })
  expect(stale).toBeUndefined()
  expect(compared).toBeGreaterThan(300)
  expect(reads).toBeGreaterThan(100)
  // Rules that call every result stale would be right, and useless.
  expect(needless).toBeLessThan(reads / 2)
}, 120_000)

describe('a stale result is found if', () => {
  it.each(Object.entries(MUTATIONS))(
    '%s',
    async (_name, mutation) => {
      const { stale } = await checker.check(await importRules(mutation), { runs: MUTATION_RUNS, seed: SEED })
      expect(stale).toBeDefined()
    },
    120_000,
  )
})
