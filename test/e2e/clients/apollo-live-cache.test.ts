import { ApolloClient, gql, HttpLink, InMemoryCache } from '@apollo/client'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { WebSocket } from 'ws'
import { createLiveCacheLink, type LiveCacheError, tablesOf } from '../../../src/client/apollo/index.js'
import { createClient } from '../../../src/client/index.js'
import { type ApolloApp, createApolloApp } from '../../support/apollo-cache.js'
import { type CachedWorld, createCachedWorld, randomWrites, SHOWN } from '../../support/cached-world.js'
import { failingFetch } from '../../support/failing-fetch.js'
import { freshResult, shownFields } from '../../support/fresh-result.js'

let world: CachedWorld
let app: ApolloApp
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
async function showPeople(options: Parameters<typeof createApolloApp>[1] = {}) {
  app = createApolloApp(world, options)
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

it('shows a changed column at once, without a request and without a loading state', async () => {
  const shown = await showPeople()
  await world.log.query(`update people set name = 'Eve', age = 99 where pk = 2`)
  await expect.poll(() => namesOf(shown.data())).toEqual(['Ada', 'Eve', 'person 3'])
  expect(app.sent).toEqual(['People'])
  expect(shown.rendered.filter(({ loading }) => loading).length).toBe(1) // the first
})

it('reads a shown list again when rows come and go, without a loading state', async () => {
  const shown = await showPeople()
  await world.log.query(`delete from people where pk = 2`)
  await expect.poll(() => namesOf(shown.data())).toEqual(['Ada', 'person 3', 'person 4'])
  await world.log.query(`insert into people (pk, name) values (2, 'Zoe')`)
  await expect.poll(() => namesOf(shown.data())).toEqual(['Ada', 'Zoe', 'person 3'])
  expect(shown.rendered.filter(({ loading }) => loading).length).toBe(1)
})

it('a deleted row leaves lists before the server has answered', async () => {
  const shown = await showPeople()
  await world.log.query(`delete from people where pk = 2`)
  await expect.poll(() => shown.rendered.map(({ data }) => namesOf(data))).toContainEqual(['Ada', 'person 3'])
})

it('after TRUNCATE, the list is empty', async () => {
  const shown = await showPeople()
  await world.log.query('truncate people cascade')
  await expect.poll(() => shown.data() && rowsOf(shown.data())).toEqual([])
  expect(Object.keys(app.cache.extract()).filter(id => id.startsWith('People:'))).toEqual([])
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

it('a list that is not shown leaves the cache, and is read when it is shown again', async () => {
  const shown = await showPeople()
  shown.unmount()
  await world.log.query(`insert into people (pk, name) values (0, 'first')`)
  await expect.poll(() => JSON.stringify(app.cache.extract().ROOT_QUERY)).not.toContain('people(')
  const again = app.show(PEOPLE)
  await expect.poll(() => namesOf(again.data())).toEqual(['first', 'Ada', 'person 2'])
})

it('a query with no-cache stays as it was read', async () => {
  const shown = await showPeople()
  const once = app.show(PEOPLE, { fetchPolicy: 'no-cache' })
  await expect.poll(() => namesOf(once.data())).toEqual(['Ada', 'person 2', 'person 3'])
  await world.log.query(`delete from people where pk = 2`)
  await expect.poll(() => namesOf(shown.data())).toEqual(['Ada', 'person 3', 'person 4'])
  expect(namesOf(once.data())).toEqual(['Ada', 'person 2', 'person 3'])
})

it('an optimistic update stays until its mutation has answered', async () => {
  let answer = (_data: Record<string, unknown>) => {}
  const shown = await showPeople({
    answer: () =>
      new Promise(resolve => {
        answer = resolve
      }),
  })
  const saved = app.client.mutate({
    mutation: gql`mutation Save { save { pk name } }`,
    optimisticResponse: { save: { __typename: 'People', pk: 1, name: 'optimistic' } },
  })
  await expect.poll(() => namesOf(shown.data())[0]).toBe('optimistic')
  await world.log.query(
    `update people set name = 'theirs' where pk in (1, 2); insert into people (pk, name) values (0, 'zero')`,
  )
  await expect.poll(() => namesOf(shown.data())).toEqual(['zero', 'optimistic', 'theirs'])
  await world.log.query(`update people set name = 'saved' where pk = 1`)
  answer({ save: { __typename: 'People', pk: 1, name: 'saved' } })
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

it('follows the tables of a restored cache', async () => {
  const shown = await showPeople()
  const stored = app.cache.extract()
  shown.unmount()
  await app.close()
  await world.log.query(`update people set name = 'meanwhile' where pk = 2`)
  app = createApolloApp(world)
  app.cache.restore(stored)
  app.link.restored(app.client)
  const restored = app.show(PEOPLE)
  expect(namesOf(restored.data())[1]).toBe('person 2')
  await expect.poll(() => namesOf(restored.data())).toEqual(['Ada', 'meanwhile', 'person 3'])
})

it('works with masked data', async () => {
  app = createApolloApp(world, { clientOptions: { dataMasking: true } })
  const shown = app.show({
    query: `query Masked { people(orderBy: [{ pk: ASC }], limit: 2) { cursor rows { pk ...Name } } }
      fragment Name on People { name }`,
  })
  const masked = () => shownFields(shown.data())
  await expect.poll(masked).toEqual({ people: { rows: [{ pk: 1 }, { pk: 2 }] } })
  await world.log.query(`insert into people (pk, name) values (0, 'zero')`)
  await expect.poll(masked).toEqual({ people: { rows: [{ pk: 0 }, { pk: 1 }] } })
  const name = gql`fragment Name on People { name }`
  expect(app.cache.readFragment({ id: 'People:{"pk":0}', fragment: name })).toMatchObject({ name: 'zero' })
  // Without the fields of fragments, Apollo Client would fetch it once more.
  expect(app.sent).toEqual(['Masked', 'Masked'])
})

it('columns that the changes do not deliver are read again', async () => {
  const shown = await showPeople({ columns: { People: ['name'] } })
  await world.log.query('update people set age = 77 where pk = 1')
  await expect.poll(() => rowsOf(shown.data())[0]).toMatchObject({ age: 77 })
})

it('reports a table whose changes cannot be followed', async () => {
  const errors: LiveCacheError[] = []
  const ws = createClient({
    url: `${world.live.server.url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
  })
  const link = createLiveCacheLink({
    client: ws,
    tables: JSON.parse(JSON.stringify(tablesOf(world.introspection)).replaceAll('"age"', '"missing"')),
    enabled: true,
    onError: error => errors.push(error),
  })
  const client = new ApolloClient({
    cache: new InMemoryCache(),
    link: link.concat(new HttpLink({ uri: `${world.live.server.url}/graphql` })),
  })
  await client.query({ query: gql`{ people { rows { pk } } }` })
  await expect
    .poll(() => errors.map(({ type, code }) => [type, code]))
    .toEqual([['People', 'GRAPHQL_VALIDATION_FAILED']])
  expect(errors[0]?.message).toMatch(/^People is not live: Cannot query field "missing"/)
  link.close()
  await ws.dispose()
})

it('opens nothing on a server', async () => {
  const subscribe = vi.fn(() => () => {})
  const link = createLiveCacheLink({ client: { subscribe }, tables: tablesOf(world.introspection) })
  const client = new ApolloClient({
    ssrMode: true,
    cache: new InMemoryCache(),
    link: link.concat(new HttpLink({ uri: `${world.live.server.url}/graphql` })),
  })
  expect((await client.query({ query: gql`{ people(limit: 1) { rows { pk } } }` })).data).toBeDefined()
  link.restored(client)
  expect(subscribe).not.toHaveBeenCalled()
})

describe('while random transactions write, and connections are cut', () => {
  it.each([1, 2])('all queries equal fresh ones at rest (seed %i)', { timeout: 300_000 }, async seed => {
    app = createApolloApp(world)
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
