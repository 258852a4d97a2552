import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type CachedWorld, createCachedWorld, randomWrites, SHOWN } from '../../support/cached-world.js'
import { freshResult, shownFields } from '../../support/fresh-result.js'
import { createUrqlApp, type UrqlApp } from '../../support/urql-cache.js'

let world: CachedWorld
let app: UrqlApp
beforeEach(async () => {
  world = await createCachedWorld()
})
afterEach(async () => {
  await app?.close()
  await world?.close()
})

/** Waits until every query that is shown equals a fresh one. */
async function atRest(shown: readonly { data(): unknown }[], queries = SHOWN): Promise<void> {
  for (const [i, query] of queries.entries())
    await expect
      .poll(async () => shownFields(shown[i]?.data()), { message: query.query, timeout: 20_000 })
      .toEqual(await freshResult(world.live.server.url, query))
}

describe('while random transactions write, and connections are cut', () => {
  it.each([1, 2])('all queries equal fresh ones at rest (seed %i)', { timeout: 120_000 }, async seed => {
    app = createUrqlApp(world)
    const shown = SHOWN.map(query => app.show(query))
    await atRest(shown)
    let i = 0
    for (const write of randomWrites(seed, 200)) {
      await world.log.query(write)
      if (++i % 50 === 25) await world.proxy.cut()
      if (i % 50 === 30) await world.proxy.mend()
      if (i % 50 === 0) await atRest(shown)
    }
    expect(app.errors).toEqual([])
    expect(shown.flatMap(({ rendered }) => rendered).filter(({ error }) => error)).toEqual([])
  })
})
