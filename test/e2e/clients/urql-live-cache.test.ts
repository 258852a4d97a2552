import { Client, fetchExchange } from '@urql/core'
import type { CacheExchangeOpts } from '@urql/exchange-graphcache'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { liveCacheExchange, tablesOf } from '../../../src/client/urql/index.js'
import { type CachedWorld, createCachedWorld, randomWrites, SHOWN } from '../../support/cached-world.js'
import { failingFetch } from '../../support/failing-fetch.js'
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

const PEOPLE = {
  query: 'query People { people(orderBy: [{ pk: ASC }], limit: 3) { cursor rows { pk name age } } }',
}
interface People {
  readonly people?: { readonly rows: readonly { readonly pk: number; readonly name: string }[] }
}
const rowsOf = (data: unknown) => (data as People | undefined)?.people?.rows ?? []
const namesOf = (data: unknown) => rowsOf(data).map(({ name }) => name)

/** Shows people, and waits until their changes arrive. */
async function showPeople(options: Parameters<typeof createUrqlApp>[1] = {}) {
  app = createUrqlApp(world, options)
  const shown = app.show(PEOPLE)
  await expect.poll(() => rowsOf(shown.data()).length).toBe(3)
  await expect
    .poll(async () => {
      await world.log.query(`update people set name = 'Ada' where pk = 1`)
      return namesOf(shown.data())[0]
    })
    .toBe('Ada')
  return shown
}

it('shows a changed column at once, without a request', async () => {
  const shown = await showPeople()
  await world.log.query(`update people set name = 'Eve', age = 99 where pk = 2`)
  await expect.poll(() => namesOf(shown.data())).toEqual(['Ada', 'Eve', 'person 3'])
  expect(app.sent).toEqual(['People'])
})

it('reads a shown list again when rows come and go, and shows the last result until then', async () => {
  const shown = await showPeople()
  await world.log.query(`delete from people where pk = 2`)
  await expect.poll(() => namesOf(shown.data())).toEqual(['Ada', 'person 3', 'person 4'])
  await world.log.query(`insert into people (pk, name) values (2, 'Zoe')`)
  await expect.poll(() => namesOf(shown.data())).toEqual(['Ada', 'Zoe', 'person 3'])
  await world.log.query('truncate people cascade')
  await expect.poll(() => shown.data() && rowsOf(shown.data())).toEqual([])
  expect(shown.rendered.filter(({ data, error }) => !data || error)).toEqual([])
})

it('a transaction is one rendering', async () => {
  const shown = await showPeople()
  const before = shown.rendered.length
  await world.log.query(
    `begin; update people set name = 'A' where pk = 1; update people set name = 'B' where pk = 2; commit`,
  )
  await expect.poll(() => namesOf(shown.data())).toEqual(['A', 'B', 'person 3'])
  const after = shown.rendered.slice(before).map(({ data }) => namesOf(data).slice(0, 2).join())
  expect(after.filter(names => names !== 'A,B' && names !== 'Ada,person 2')).toEqual([])
})

it('a list that is not shown is read when it is shown again', async () => {
  const other = { query: 'query Other { people(orderBy: [{ pk: ASC }], limit: 2) { rows { pk name } } }' }
  const shown = await showPeople()
  const hidden = app.show(other)
  await expect.poll(() => namesOf(hidden.data())).toEqual(['Ada', 'person 2'])
  hidden.unmount()
  await world.log.query(`insert into people (pk, name) values (0, 'first')`)
  await expect.poll(() => namesOf(shown.data())).toEqual(['first', 'Ada', 'person 2'])
  const again = app.show(other)
  await expect.poll(() => namesOf(again.data())).toEqual(['first', 'Ada'])
})

it('an optimistic update stays until its mutation has answered', async () => {
  let answer = (_data: Record<string, unknown>) => {}
  const shown = await showPeople({
    answer: () =>
      new Promise(resolve => {
        answer = resolve
      }),
    cache: { optimistic: { save: () => ({ __typename: 'People', pk: 1, name: 'optimistic' }) } },
  })
  const saved = app.client.mutation('mutation Save { save { pk name } }', {}).toPromise()
  await expect.poll(() => namesOf(shown.data())[0]).toBe('optimistic')
  await world.log.query(`update people set name = 'theirs' where pk in (1, 2)`)
  await expect.poll(() => namesOf(shown.data())[1]).toBe('theirs')
  expect(namesOf(shown.data())[0]).toBe('optimistic')
  await world.log.query(
    `update people set name = 'saved' where pk = 1; insert into people (pk, name) values (0, 'zero')`,
  )
  answer({ __typename: 'Mutation', save: { __typename: 'People', pk: 1, name: 'saved' } })
  await saved
  await expect.poll(() => namesOf(shown.data())).toEqual(['zero', 'saved', 'theirs'])
})

it('while the server has no database, a list that is read again shows its last result', async () => {
  const failing = failingFetch()
  const shown = await showPeople({ fetch: failing.fetch })
  failing.failures = 2
  await world.log.query(`insert into people (pk, name) values (0, 'first')`)
  await expect.poll(() => namesOf(shown.data()), { timeout: 20_000 }).toEqual(['first', 'Ada', 'person 2'])
  expect(failing.failures).toBe(0)
  expect(shown.rendered.filter(({ error }) => error)).toEqual([])
})

it('after an error, the next change of a table has a query read again', async () => {
  const failing = failingFetch()
  await showPeople({ fetch: failing.fetch })
  failing.failures = 1
  const other = app.show({
    query: 'query Other { people(orderBy: [{ pk: DESC }], limit: 1) { rows { pk name } } }',
  })
  await expect.poll(() => other.rendered.at(-1)?.error).toBeDefined()
  await world.log.query(`insert into people (pk, name) values (99, 'last')`)
  await expect.poll(() => namesOf(other.data())).toEqual(['last'])
  expect(other.rendered.at(-1)?.error).toBeUndefined()
})

it('after a lost history, everything is read again', async () => {
  const shown = await showPeople()
  await world.proxy.cut()
  await world.log.query(`update people set name = 'missed' where pk = 3`)
  await world.log.query('alter table people add column more int')
  await world.log.refresh()
  await world.live.ready('{ people { rows { more } } }')
  await world.proxy.mend()
  await expect.poll(() => namesOf(shown.data())).toEqual(['Ada', 'person 2', 'missed'])
  expect(app.errors).toEqual([])
})

it('knows the schema, and leaves the updates of the application to it', async () => {
  const updated = vi.fn()
  const warned = vi.fn()
  const shown = await showPeople({
    cache: {
      schema: world.introspection as CacheExchangeOpts['schema'] & object,
      logger: warned,
      updates: { Subscription: { peopleChanged: updated } },
    },
  })
  await world.log.query(`insert into people (pk, name) values (0, 'zero')`)
  await expect.poll(() => namesOf(shown.data())).toEqual(['zero', 'Ada', 'person 2'])
  expect(updated).not.toHaveBeenCalled()
  expect(warned.mock.calls.filter(([level]) => level !== 'debug')).toEqual([])
})

it('opens nothing on a server', async () => {
  const subscribe = vi.fn(() => () => {})
  const exchange = liveCacheExchange({ client: { subscribe }, tables: tablesOf(world.introspection) })
  const client = new Client({
    url: `${world.live.server.url}/graphql`,
    preferGetMethod: false,
    exchanges: [exchange, fetchExchange],
  })
  expect((await client.query('{ people(limit: 1) { rows { pk } } }', {})).data).toBeDefined()
  expect(subscribe).not.toHaveBeenCalled()
})

describe('while random transactions write, and connections are cut', () => {
  it.each([1, 2])('all queries equal fresh ones at rest (seed %i)', { timeout: 300_000 }, async seed => {
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
